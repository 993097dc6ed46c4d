"""Loads public weights by parameter name and reports missing and unexpected ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


class WeightsError(ValueError):
    """A weights file that cannot be used."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Names of parameters by outcome; only `loaded` is not empty where file and network agree."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]  # in the network, not in the file: they keep their initial values
    unexpected: tuple[str, ...]  # in the file, not in the network: left out
    misshapen: tuple[str, ...]  # in both, with different shapes: left out

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors loaded"]
        for kind in ("missing", "unexpected", "misshapen"):
            names = getattr(self, kind)
            if names:
                shown = ", ".join(names[:8]) + (
                    f" and {len(names) - 8} more" if len(names) > 8 else ""
                )
                lines.append(f"{len(names)} {kind}: {shown}")
        return "; ".join(lines)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file or a torch file of plain tensors.

    Only tensors are unpickled.

    A torch file may wrap the dict as `state_dict` or `model`, and its names may start with
    `module.`.
    """
    if not path.is_file():
        raise WeightsError(
            f"no file of weights at {path}; expected a .safetensors, .pt or .pth file"
        )
    try:
        raw = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # readers raise various types on broken files, also UnpicklingError
        raise WeightsError(
            f"{path} has no readable tensors ({type(error).__name__}); expected .safetensors or "
            "a plain torch file"
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(raw, dict) and isinstance(raw.get(wrapper), dict):
            raw = raw[wrapper]
    if (
        not isinstance(raw, dict)
        or not raw
        or not all(isinstance(value, Tensor) for value in raw.values())
    ):
        raise WeightsError(f"{path} must hold a dict of tensors by name, got {type(raw).__name__}")
    return {name.removeprefix("module."): value for name, value in raw.items()}


def copy_weights(net: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    """Copy tensors into `net` where name and shape agree; `num_batches_tracked` is not reported."""
    parameters = net.state_dict()
    counters = {name for name in {*weights, *parameters} if name.endswith("num_batches_tracked")}
    shared = (weights.keys() & parameters.keys()) - counters
    fitting = {name for name in shared if weights[name].shape == parameters[name].shape}
    net.load_state_dict({name: weights[name] for name in fitting}, strict=False)
    return LoadReport(
        loaded=tuple(sorted(fitting)),
        missing=tuple(sorted(parameters.keys() - weights.keys() - counters)),
        unexpected=tuple(sorted(weights.keys() - parameters.keys() - counters)),
        misshapen=tuple(sorted(shared - fitting)),
    )
