"""`python -m export.add_precisions BUNDLE --faces IMAGES`: adds float16 and int8 networks to a
bundle and prints their cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from export.calibration_images import faces_in_images, rendered_faces
from export.quantization_error import quantization_error
from export.quantize import fp16_delta, large_tensors, to_fp16, to_int8, to_int8_cpu
from faceaffect.bundle.bundle import CARD_FILE, Bundle, open_bundle
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE
from faceaffect.bundle.int8_delta import INT8_CPU_DELTA_FILE, encode_int8_delta
from faceaffect.bundle.model_spec import INT8_CPU, INT8_CPU_FILE, PRECISIONS, ModelSpec
from faceaffect.types import FloatArray

_HEADING: Final = "## Other precisions"


def write_quantization_section(
    folder: Path, costs: Mapping[str, Mapping[str, float]], faces: int
) -> None:
    """What the precisions cost, as the last section of the bundle's card, in place of an earlier
    one.
    """
    card = folder / CARD_FILE
    before = (
        card.read_text(encoding="utf-8").partition(_HEADING)[0].rstrip()
        if card.is_file()
        else f"# {folder.name}"
    )
    text = [
        _HEADING,
        f"Compared with the float32 network on {faces} faces that calibrated nothing:",
        "",
    ]
    text += [f"| | {' | '.join(costs)} |", "|---" * (1 + len(costs)) + "|"]
    for name in next(iter(costs.values())):
        text.append(
            f"| {name} | {' | '.join(f'{figures[name]:.4f}' for figures in costs.values())} |"
        )
    content = "\n".join([before, "", *text, ""]).encode()
    card.write_bytes(content)
    spec = ModelSpec.load(folder)
    replace(spec, files={**spec.files, CARD_FILE: hashlib.sha256(content).hexdigest()}).save(folder)


def add_network(folder: Path, precision: str, content: bytes) -> None:
    """Write the file and let the spec vouch for it; the spec last. fp16 and int8-cpu take forms
    that need little room.
    """
    spec, file = (
        ModelSpec.load(folder),
        INT8_CPU_FILE if precision == INT8_CPU else PRECISIONS[precision],
    )
    files = {name: digest for name, digest in spec.files.items() if name != file}
    if precision == "fp16":
        (folder / file).unlink(missing_ok=True)
        file, content = FP16_DELTA_FILE, fp16_delta((folder / PRECISIONS["fp32"]).read_bytes(), content)
    if precision == INT8_CPU:
        (folder / file).unlink(missing_ok=True)
        full = (folder / PRECISIONS["fp32"]).read_bytes()
        file, content = (
            INT8_CPU_DELTA_FILE,
            encode_int8_delta(full, content, large_tensors(content)),
        )
    (folder / file).write_bytes(content)
    replace(spec, files=files | {file: hashlib.sha256(content).hexdigest()}).save(folder)


def convert(bundle: Bundle, precision: str, crops: FloatArray) -> bytes:
    """The bundle's network in fp16, int8 or int8-cpu; `crops` calibrate the last two."""
    if precision == "fp16":
        return to_fp16(bundle.onnx)
    return (to_int8_cpu if precision == INT8_CPU else to_int8)(bundle.onnx, crops)


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="BUNDLE"
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp16", "int8", INT8_CPU]),
    help="Default: all.",
)
@click.option(
    "--faces",
    metavar="IMAGES",
    help="Folder, pattern or video with faces of the kind that will be seen.",
)
@click.option(
    "--renders",
    type=click.Path(path_type=Path, exists=True),
    help="Rendered faces, whose AUs are known.",
)
@click.option(
    "--most", default=400, show_default=True, type=click.IntRange(64), help="Faces to use."
)
def main(
    folder: Path, precisions: tuple[str, ...], faces: str | None, renders: Path | None, most: int
) -> None:
    """Add networks of other precisions to BUNDLE.

    Every second face calibrates, the others judge. What is printed, and written into the
    bundle's card, compares with the float32 network on these faces.
    """
    bundle = open_bundle(folder)
    truth = None
    if renders is not None:
        crops, truth = rendered_faces(renders, bundle.spec.crop, most)
    elif faces is not None:
        crops = faces_in_images(faces, bundle.spec.crop, most)
    else:
        raise click.UsageError(
            "faces to calibrate and judge with are wanted: give --faces IMAGES or --renders FOLDER"
        )
    costs = {}
    for precision in precisions or ("fp16", "int8", INT8_CPU):
        content = convert(bundle, precision, crops[::2])
        figures = costs[precision] = quantization_error(
            bundle, content, crops[1::2], None if truth is None else truth[1::2]
        )
        add_network(folder, precision, content)
        table = Table(
            title=f"{precision}: {len(content) / 1e6:.2f} MB (float32: {len(bundle.onnx) / 1e6:.2f} MB)"
        )
        table.add_column(f"on {len(crops[1::2])} faces")
        table.add_column("", justify="right")
        for name, value in figures.items():
            table.add_row(name, f"{value:.4f}")
        Console().print(table)
    write_quantization_section(folder, costs, len(crops[1::2]))


if __name__ == "__main__":
    main()
