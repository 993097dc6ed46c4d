"""`python -m export.add_precisions BUNDLE --faces IMAGES`: adds fp16 and int8 networks to a bundle.

It prints the error of each and writes it into the bundle's model card.
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

from export.calibration_images import faces_in_images, synthetic_faces
from export.quantization_error import quantization_error
from export.quantize import fp16_delta, large_tensors, to_fp16, to_int8, to_int8_cpu
from faceaffect.bundle.bundle import CARD_FILE, MODEL_FILE, Bundle, open_bundle
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE
from faceaffect.bundle.int8_delta import INT8_CPU_DELTA_FILE, encode_int8_delta
from faceaffect.bundle.model_spec import INT8_CPU, INT8_CPU_FILE, PRECISIONS, ModelSpec
from faceaffect.types import FloatArray

_HEADING: Final = "## Other precisions"


def write_quantization_section(
    folder: Path, errors: Mapping[str, Mapping[str, float]], faces: int
) -> None:
    """Write the errors by precision and metric as the last section of the bundle's model card."""
    card = folder / CARD_FILE
    before = (
        card.read_text(encoding="utf-8").partition(_HEADING)[0].rstrip()
        if card.is_file()
        else f"# {folder.name}"
    )
    lines = [
        _HEADING,
        f"Compared with the float32 network on {faces} faces that were not used for calibration:",
        "",
        f"| | {' | '.join(errors)} |",
        "|---" * (1 + len(errors)) + "|",
    ]
    for name in next(iter(errors.values())):
        values = " | ".join(f"{metrics[name]:.4f}" for metrics in errors.values())
        lines.append(f"| {name} | {values} |")
    content = "\n".join([before, "", *lines, ""]).encode()
    card.write_bytes(content)
    spec = ModelSpec.load(folder)
    replace(spec, files={**spec.files, CARD_FILE: hashlib.sha256(content).hexdigest()}).save(folder)


def add_network(folder: Path, precision: str, content: bytes) -> None:
    """Write the network, as a delta for fp16 and int8-cpu, and add it to the spec."""
    spec = ModelSpec.load(folder)
    file = INT8_CPU_FILE if precision == INT8_CPU else PRECISIONS[precision]
    files = {name: digest for name, digest in spec.files.items() if name != file}
    base = (folder / MODEL_FILE).read_bytes()
    if precision in ("fp16", INT8_CPU):
        (folder / file).unlink(missing_ok=True)
    if precision == "fp16":
        file = FP16_DELTA_FILE
        content = fp16_delta(base, content)
    elif precision == INT8_CPU:
        file = INT8_CPU_DELTA_FILE
        content = encode_int8_delta(base, content, large_tensors(content))
    (folder / file).write_bytes(content)
    replace(spec, files=files | {file: hashlib.sha256(content).hexdigest()}).save(folder)


def convert(bundle: Bundle, precision: str, crops: FloatArray) -> bytes:
    """Convert the bundle's network to fp16, int8 or int8-cpu; `crops` calibrate the last two."""
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
    help="Precision to add [default: all].",
)
@click.option(
    "--faces",
    metavar="IMAGES",
    help="Folder, pattern or video of faces like those of the application.",
)
@click.option(
    "--synthetic-images",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of synthetic images, whose AUs are known.",
)
@click.option(
    "--max-faces",
    default=400,
    show_default=True,
    type=click.IntRange(64),
    help="Largest number of faces.",
)
def main(
    folder: Path,
    precisions: tuple[str, ...],
    faces: str | None,
    synthetic_images: Path | None,
    max_faces: int,
) -> None:
    """Add networks of other precisions to BUNDLE.

    Every second face is used for calibration, the others for evaluation. The errors against the
    float32 network are printed and written into the bundle's model card.
    """
    bundle = open_bundle(folder)
    truth = None
    if synthetic_images is not None:
        crops, truth = synthetic_faces(synthetic_images, bundle.spec.crop, max_faces)
    elif faces is not None:
        crops = faces_in_images(faces, bundle.spec.crop, max_faces)
    else:
        raise click.UsageError("expected --faces IMAGES or --synthetic-images FOLDER, got neither")
    test_crops = crops[1::2]
    test_truth = None if truth is None else truth[1::2]
    errors = {}
    for precision in precisions or ("fp16", "int8", INT8_CPU):
        content = convert(bundle, precision, crops[::2])
        metrics = quantization_error(bundle, content, test_crops, test_truth)
        errors[precision] = metrics
        add_network(folder, precision, content)
        table = Table(
            title=f"{precision}: {len(content) / 1e6:.2f} MB "
            f"(float32: {len(bundle.onnx) / 1e6:.2f} MB)"
        )
        table.add_column(f"on {len(test_crops)} faces")
        table.add_column("", justify="right")
        for name, value in metrics.items():
            table.add_row(name, f"{value:.4f}")
        Console().print(table)
    write_quantization_section(folder, errors, len(test_crops))


if __name__ == "__main__":
    main()
