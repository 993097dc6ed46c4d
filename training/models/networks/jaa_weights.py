"""Published weights of JAA-Net (Shao et al. 2021) for the network of M4, which is built on it.

The authors' files are `region_learning.pth`, `align_net.pth`, `local_attention_refine.pth`,
`local_au_net.pth`, `global_au_feat.pth` and `au_net.pth`, trained on the twelve action units of
BP4D. Branches of AU25 and AU26, which BP4D lacks, and the graph keep their initial weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from faceaffect.labels import AU_NAMES
from training.models.backbones.load_weights import WeightsError
from training.models.backbones.public_names import JAA_PARTS

JAA_AUS: Final = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
_PLACE: Final = {
    column: JAA_AUS.index(int(name[2:]))
    for column, name in enumerate(AU_NAMES)
    if int(name[2:]) in JAA_AUS
}
"""Column of each of our action units in the authors' networks."""
_BRANCHES: Final = {"local_conv_branch1": "fine", "local_conv_branch2": "middle"} | {
    "local_conv_branch3": "coarse"
}


def is_jaa(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of the authors' files."""
    return any(name.startswith(f"{JAA_PARTS[0]}.") for name in weights)


def from_jaa(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], size_px: int
) -> dict[str, Tensor]:
    """The authors' weights under the names of an `AttentionGraph` of crops of `size_px`, whose
    weights are `own`.

    Raises:
        WeightsError: the network is of other widths.
    """
    found = _region(weights)
    widths = [name for name, value in found.items() if own[name].shape != value.shape]
    if widths:
        raise WeightsError("JAA-Net's weights fit the published preset only")
    found |= _renamed(weights, "align_net.align_feat.feat_extract.", "align.")
    found |= _renamed(weights, "global_au_feat.feat_extract.", "whole.")
    found |= _renamed(weights, "align_net.align_output.", "landmarks.")
    # The authors' landmarks are in pixels, ours in crop sides from the center.
    found["landmarks.1.weight"] = found["landmarks.1.weight"] / size_px
    found["landmarks.1.bias"] = found["landmarks.1.bias"] / size_px - 0.5
    found |= _by_unit(weights, own, "local_attention_refine.local_aus_attention", "refine", "")
    found |= _by_unit(weights, own, "local_au_net.local_aus_branch", "local", "feat_extract.")
    found |= _local_outputs(weights, own)
    return found | _head(weights, own)


def _renamed(weights: Mapping[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {
        new + name.removeprefix(old): value
        for name, value in weights.items()
        if name.startswith(old)
    }


def _region(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Both region layers; the layers of a grid's patches become groups of one."""
    found: dict[str, Tensor] = {}
    patches: dict[str, dict[int, Tensor]] = {}
    pattern = re.compile(r"(\d)\.(local_conv_branch\d)\.(bns|convs)\.(\d+)\.(.+)")
    for name, value in _renamed(weights, "region_learning.multiscale_feat.", "").items():
        match = pattern.fullmatch(name)
        if match is None:
            layer, part, field = name.split(".")
            found[f"region.{layer}.{'norm' if part == 'bn' else part}.{field}"] = value
            continue
        layer, branch, kind, patch, field = match.groups()
        target = f"region.{layer}.{_BRANCHES[branch]}.{'norm' if kind == 'bns' else 'conv'}.{field}"
        patches.setdefault(target, {})[int(patch)] = value
    for name, parts in patches.items():
        values = [parts[k] for k in sorted(parts)]
        found[name] = torch.cat(values) if values[0].ndim else values[0]
    return found


def _by_unit(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], old: str, new: str, inner: str
) -> dict[str, Tensor]:
    """Networks of the units as one of groups; units that the authors lack keep `own` weights."""
    found: dict[str, Tensor] = {}
    for name in own:
        if not name.startswith(f"{new}."):
            continue
        field = name.removeprefix(f"{new}.")
        names = {unit: f"{old}.{place}.{inner}{field}" for unit, place in _PLACE.items()}
        found[name] = _joined(weights, own[name], names)
    return found


def _joined(weights: Mapping[str, Tensor], own: Tensor, names: Mapping[int, str]) -> Tensor:
    """`own` with the parts [12 parts, ...] of units replaced by the weights of their names."""
    if not own.ndim:
        return weights[next(iter(names.values()))]
    parts = list(own.chunk(len(AU_NAMES)))
    for unit, name in names.items():
        parts[unit] = weights[name].reshape(parts[unit].shape)
    return torch.cat(parts)


def _local_outputs(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for layer, module in enumerate(("local_hidden", "local_read")):
        for field in ("weight", "bias"):
            names = {
                unit: f"local_au_net.local_aus_output.{place}.{layer}.{field}"
                for unit, place in _PLACE.items()
            }
            found[f"{module}.{field}"] = _joined(weights, own[f"{module}.{field}"], names)
    return found


def _head(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The joint head; the authors' outputs are all units inactive, then all active."""
    found = _renamed(weights, "au_net.au_output.0.", "head.0.")
    for field in ("weight", "bias"):
        theirs = torch.unflatten(weights[f"au_net.au_output.1.{field}"], 0, (2, len(JAA_AUS)))
        value = own[f"head.1.{field}"].clone()
        for unit, place in _PLACE.items():
            value[2 * unit : 2 * unit + 2] = theirs[:, place]
        found[f"head.1.{field}"] = value
    return found
