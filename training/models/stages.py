"""Streaming form of the networks: named stages with their input, output and state tensors."""

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
    """Name and shape of a float32 tensor [N, *shape] of N faces."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """`module(*inputs, *states)` returns `(*outputs, *states)`; states of a new face are zeros.

    A stage runs on every `frame_stride`-th frame of a face, from the first; its outputs hold in
    between. `uses_audio` is the framing of the audio of stage `audio`, `stage_spec.CHUNK` or
    `WINDOW`.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]
    states: tuple[TensorForm, ...] = ()
    frame_stride: int = 1
    uses_audio: str = ""

    def describe(self) -> dict[str, Any]:
        """JSON description: names, shapes without the batch axis, frame stride."""
        kinds = {"inputs": self.inputs, "outputs": self.outputs, "states": self.states}
        shapes = {
            kind: {form.name: list(form.shape) for form in forms} for kind, forms in kinds.items()
        }
        return {"name": self.name, "frame_stride": self.frame_stride, **shapes}


AU_LOGIT, EXPRESSION_LOGIT, VA = (TensorForm(name, shape) for name, shape in OUTPUT_HEADS.values())
"""Outputs that all methods share; AUs are active if the logit is positive, VA is to be clipped."""


class StageCall(nn.Module):
    """Wraps a function of a network as a module that shares the network's parameters."""

    def __init__(self, net: nn.Module, call: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.net = net
        self._call = call

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self._call(*tensors)


class MethodNet(nn.Module, ABC):
    """Base class of the eight networks: an offline forward pass, and stages for streaming."""

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named outputs of a training batch of named tensors."""

    @abstractmethod
    def input_forms(self) -> tuple[TensorForm, ...]:
        """Inputs of `forward`, at their maximum length."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The streaming form; ValueError if the configured network is not causal."""

    def stage(
        self,
        name: str,
        call: Callable[..., tuple[Tensor, ...]],
        inputs: tuple[TensorForm, ...],
        outputs: tuple[TensorForm, ...],
        states: tuple[TensorForm, ...] = (),
        **options: Any,
    ) -> Stage:
        """A stage that calls a function of this network; `options` are further ones of `Stage`."""
        return Stage(name, StageCall(self, call), inputs, outputs, states, **options)

    def zeros(self, count: int = 1, device: str = "cpu") -> dict[str, Tensor]:
        """A batch of `count` zero samples."""
        return {
            form.name: torch.zeros(count, *form.shape, device=device) for form in self.input_forms()
        }


class FrameNet(MethodNet):
    """Stateless network with the single stage `frame`."""

    def __init__(self, size_px: int, outputs: tuple[TensorForm, ...]) -> None:
        super().__init__()
        self.crops, self.outputs = TensorForm("crops", (3, size_px, size_px)), outputs

    def input_forms(self) -> tuple[TensorForm, ...]:
        return (self.crops,)

    def stages(self) -> tuple[Stage, ...]:
        def frame(crops: Tensor) -> tuple[Tensor, ...]:
            outputs = self({"crops": crops})
            return tuple(outputs[form.name] for form in self.outputs)

        return (self.stage("frame", frame, (self.crops,), self.outputs),)


def over_time(net: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """Apply `net` to every frame of [N, T, ...]."""
    flat = net(frames.flatten(0, 1))
    return torch.unflatten(flat, 0, frames.shape[:2])
