"""Files of a training run and how they are replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

STATE_FILE: Final = "state.pt"
WEIGHTS_FILE: Final = "weights.safetensors"
EMA_FILE: Final = "ema.safetensors"
RUN_FILE: Final = "run.json"


class TrainingError(RuntimeError):
    """A run that cannot continue: the cause and the remedy."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside `path` and move it there, so that a kill never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    partial.replace(path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2) + "\n"
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a .npz file."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:  # np.savez would append .npz to a name
            np.savez(file, **dict[str, Any](arrays))

    replace_file(path, write)


def write_weights(path: Path, net: nn.Module) -> None:
    replace_file(path, lambda partial: save_file(cpu_state_dict(net), partial))


def cpu_state_dict(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}


def read_state(path: Path, device: str) -> dict[str, Any]:
    """Everything that `torch.save` wrote into a state file; TrainingError if it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        json.loads(state["recipe"])
    except Exception as error:  # torch.load raises many types on damaged files
        raise TrainingError(
            f"{path} cannot be read ({type(error).__name__}); delete it to start anew"
        ) from None
    return state
