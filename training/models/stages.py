"""How a network runs frame by frame: stages by name, with the tensors and the memory that each
wants.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from faceaffect.bundle.stage_spec import OUTPUT_HEADS, STAGE_ORDER

STAGE_NAMES: Final = STAGE_ORDER


@dataclass(frozen=True, slots=True)
class TensorForm:
    """A float32 tensor [N, *shape] by name; N counts faces."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """`module(*inputs, *states)` gives `(*outputs, *states)`; states start as zeros when a face is
    first seen.

    A stage with `frame_stride` > 1 runs on frames 0, `frame_stride`, 2 `frame_stride` ... of a face; its outputs hold
    in between. `uses_audio` is the form in which the stage `audio` takes audio,
    `stage_spec.CHUNK` or `WINDOW`.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]
    states: tuple[TensorForm, ...] = ()
    frame_stride: int = 1
    uses_audio: str = ""

    def describe(self) -> dict[str, Any]:
        """The stage as plain JSON values: names, shapes without the batch axis, pace."""
        kinds = {"inputs": self.inputs, "outputs": self.outputs, "states": self.states}
        shapes = {
            kind: {form.name: list(form.shape) for form in forms} for kind, forms in kinds.items()
        }
        return {"name": self.name, "frame_stride": self.frame_stride, **shapes}


AU_LOGIT, EXPRESSION_LOGIT, VA = (TensorForm(name, shape) for name, shape in OUTPUT_HEADS.values())
"""Read-outs that all methods share: an AU is active where its logit is positive; valence and
arousal are in [-1, 1] once clipped.
"""


class StageCall(nn.Module):
    """A function of a network as a module of its own; the network's parameters stay where they are."""

    def __init__(self, net: nn.Module, call: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.net = net
        self._call = call

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self._call(*tensors)


class MethodNet(nn.Module, ABC):
    """What all eight networks have: an offline call over named tensors, and stages for one frame
    after the other.
    """

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All outputs by name for a training batch by name."""

    @abstractmethod
    def input_forms(self) -> tuple[TensorForm, ...]:
        """What `forward` reads, in its longest form."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The streaming form; ValueError where the network as configured looks ahead."""

    def zeros(self, count: int = 1, device: str = "cpu") -> dict[str, Tensor]:
        """A batch of `count` empty samples."""
        return {
            form.name: torch.zeros(count, *form.shape, device=device) for form in self.input_forms()
        }


class FrameNet(MethodNet):
    """A network without memory: one stage, `frame`."""

    def __init__(self, size_px: int, outputs: tuple[TensorForm, ...]) -> None:
        super().__init__()
        self.crops, self.outputs = TensorForm("crops", (3, size_px, size_px)), outputs

    def input_forms(self) -> tuple[TensorForm, ...]:
        return (self.crops,)

    def stages(self) -> tuple[Stage, ...]:
        def frame(crops: Tensor) -> tuple[Tensor, ...]:
            found = self({"crops": crops})
            return tuple(found[form.name] for form in self.outputs)

        return (Stage("frame", StageCall(self, frame), (self.crops,), self.outputs),)


def over_time(net: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """`net` on every frame of [N, T, ...] -> [N, T, ...]."""
    flat = net(frames.flatten(0, 1))
    return flat.unflatten(0, frames.shape[:2])
