"""`python -m export.export_detector RUN --to FILE`: exports a trained face detector as ONNX."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import torch
from safetensors.torch import load_file

from export.model_card import load_template
from export.to_onnx import export_onnx
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.detectors.fast_detector import MIN_FACE_INPUT_PX
from faceaffect.detectors.names import DIGEST_SUFFIX
from training.detector.network import DetectorConfig, DetectorMaps, DetectorNet
from training.engine.checkpoint import EMA_FILE, RUN_FILE

_TOLERANCE: Final = 0.05  # in pixels and scores, between PyTorch and ONNX Runtime


def load_detector(run: Path) -> DetectorNet:
    """Load the EMA weights of a run."""
    record = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    config = DetectorConfig(
        **{name: tuple(value) for name, value in record["recipe"]["net"].items()}
    )
    net = DetectorNet(config)
    net.load_state_dict(load_file(run / EMA_FILE))
    return net.eval()


def detector_to_onnx(net: DetectorNet) -> bytes:
    """Export `images` [N, 3, H, W] -> `maps` [N, 15, H/8, W/8] with dynamic N, H and W.

    Normalization is folded.
    """
    axes = {"images": {0: "N", 2: "H", 3: "W"}, "maps": {0: "N", 2: "h", 3: "w"}}
    images = torch.zeros(1, 3, 160, 256)
    return export_onnx(DetectorMaps(net), (images,), ["images"], ["maps"], axes)


def largest_difference(net: DetectorNet, content: bytes) -> float:
    """Largest difference between PyTorch and ONNX Runtime on noise of several sizes."""
    session = open_session(content, 1, Path("detector.onnx"))
    largest = 0.0
    torch.manual_seed(0)
    for shape in ((1, 3, 160, 256), (1, 3, 192, 192), (2, 3, 320, 96)):
        images = torch.randn(shape)
        with torch.no_grad():
            expected: Any = DetectorMaps(net)(images).numpy()
        actual = session.run(None, {"images": images.numpy()})[0]
        largest = max(largest, float(np.abs(actual - expected).max()))
    return largest


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="ONNX file to write.",
)
def main(run: Path, file: Path) -> None:
    """Export the EMA weights of RUN as ONNX, with checksum and model card."""
    net = load_detector(run)
    content = detector_to_onnx(net)
    difference = largest_difference(net, content)
    if difference > _TOLERANCE:
        raise click.ClickException(
            f"expected a difference from PyTorch of at most {_TOLERANCE}, got {difference:.2g}"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.with_suffix(DIGEST_SUFFIX).write_text(
        hashlib.sha256(content).hexdigest() + "\n", encoding="ascii"
    )
    parameters = sum(p.numel() for p in net.parameters())
    record = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    card = load_template("detector").format(
        parameters=f"{parameters:,}",
        steps=record["step"],
        batch=record["recipe"]["batch"],
        least=MIN_FACE_INPUT_PX,
    )
    (file.parent / CARD_FILE).write_text(card, encoding="utf-8")
    click.echo(f"{file}: {len(content) / 1e3:.0f} kB, {parameters} parameters, {difference:.1e}")


if __name__ == "__main__":
    main()
