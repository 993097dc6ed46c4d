"""Writes a bundle: network, graph weights, model card, and the spec with their checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from safetensors.numpy import save

from export.quantize import fp16_delta, to_fp16
from export.to_onnx import to_onnx
from faceaffect.bundle.bundle import CARD_FILE, GRAPH_FILE, MODEL_FILE
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE
from faceaffect.bundle.model_spec import CropSpec, ModelSpec
from faceaffect.geometry import TEMPLATE_SIZE_PX
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.default_model.objective import MEAN, STD
from training.models.affect_net import AffectNet

MAX_BUNDLE_BYTES: Final = 8 * 1024 * 1024
CROP: Final = CropSpec(TEMPLATE_SIZE_PX, MEAN, STD)
LICENSE: Final = (
    "Apache-2.0 code; weights carry the terms of their training data, see MODEL_CARD.md"
)


def write_bundle(
    net: AffectNet,
    folder: Path,
    card: str,
    au_thresholds: tuple[float, ...],
    au_neutral_logits: tuple[float, ...] | None = None,
    name: str = "default",
    crop: CropSpec = CROP,
) -> ModelSpec:
    """Write all files, the spec last: a folder without one is not a bundle yet.

    Raises:
        ValueError: The bundle is larger than `MAX_BUNDLE_BYTES`.
    """
    network = to_onnx(net, crop.size_px)
    contents = {
        MODEL_FILE: network,
        FP16_DELTA_FILE: fp16_delta(network, to_fp16(network)),
        GRAPH_FILE: save(net.au_graph.tensors()),
        CARD_FILE: card.encode(),
    }
    size = sum(map(len, contents.values()))
    if size > MAX_BUNDLE_BYTES:
        raise ValueError(f"expected a bundle of at most {MAX_BUNDLE_BYTES} bytes, got {size}")
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    spec = ModelSpec(
        name=name,
        license=LICENSE,
        crop=crop,
        au_names=AU_NAMES,
        expression_names=EXPRESSION_NAMES,
        au_thresholds=au_thresholds,
        au_neutral_logits=au_neutral_logits,
        files={file: hashlib.sha256(content).hexdigest() for file, content in contents.items()},
    )
    spec.save(folder)
    return spec
