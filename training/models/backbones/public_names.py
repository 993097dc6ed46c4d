"""Parameter names of published weights that differ from those of the backbones here.

torchvision (ResNet, VGG16, R(2+1)D), InsightFace (iResNet) and facenet-pytorch (Inception-ResNet
of VGGFace2) need no renaming. ResNet-50 of VGGFace2, VGGFace or FER+ as `..._dag.pth` (Albanie's
converted models) has the layer names of MatConvNet. Networks of several trunks rename their
weights themselves (`TakesPublicNetwork`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from torch import Tensor

from training.models.backbones.load_weights import WeightsError, read_weights

JAA_PARTS: Final = (
    "region_learning",
    "align_net",
    "local_attention_refine",
    "local_au_net",
    "global_au_feat",
    "au_net",
)
"""Files of JAA-Net, whose names are of an epoch or none: `region_learning.pth`."""
_DAG_STEM: Final = "conv1_7x7_s2"
_DAG_LAYER: Final = re.compile(
    r"conv([2-5])_(\d+)_(1x1_reduce|3x3|1x1_increase|1x1_proj)(_bn)?\.(.+)"
)
_DAG_PARTS: Final = {"1x1_reduce": 1, "3x3": 2, "1x1_increase": 3}


@runtime_checkable
class TakesPublicNetwork(Protocol):
    """Network whose published form has other names."""

    def from_public(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Published weights under the names of this network; None for those of another one."""
        ...


def read_public_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a file (see `read_weights`) under the names of the backbones here, or those of
    a folder of JAA-Net's files, each name after its file's.
    """
    if path.is_dir():
        return _read_parts(path)
    weights = read_weights(path)
    if f"{_DAG_STEM}.weight" in weights:
        return {_from_dag(name): value for name, value in weights.items()}
    return weights


def _read_parts(folder: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for part in JAA_PARTS:
        files = [
            each for each in folder.glob("*.pth") if re.fullmatch(rf"{part}(_\d+)?", each.stem)
        ]
        if len(files) != 1:
            raise WeightsError(
                f"expected one file {part}.pth in {folder} (the six files of JAA-Net), got "
                f"{len(files)}"
            )
        values = read_weights(files[0])
        weights |= {f"{part}.{name}": value for name, value in values.items()}
    return weights


def _from_dag(name: str) -> str:
    """torchvision's name of a parameter of a ResNet in MatConvNet's naming."""
    if name.startswith(f"{_DAG_STEM}_bn."):
        return name.replace(f"{_DAG_STEM}_bn", "bn1")
    if name.startswith(f"{_DAG_STEM}."):
        return name.replace(_DAG_STEM, "conv1")
    match = _DAG_LAYER.fullmatch(name)
    if match is None:
        return name
    stage, block, part, bn, field = match.groups()
    prefix = f"layer{int(stage) - 1}.{int(block) - 1}"
    if part == "1x1_proj":
        return f"{prefix}.downsample.{1 if bn else 0}.{field}"
    return f"{prefix}.{'bn' if bn else 'conv'}{_DAG_PARTS[part]}.{field}"
