"""Runs a network's stages frame by frame, with a memory for each track."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from training.models.stages import STAGE_NAMES, Stage

Call = Callable[[Stage, tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass(slots=True)
class _Memory:
    """State of one track."""

    frames: int = 0
    states: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)


def run_in_torch(stage: Stage, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        outputs: tuple[Tensor, ...] = stage.module(*tensors)
    return outputs


class StreamRunner:
    """Computes the outputs of each face of each frame; a track's memory starts empty.

    `call` runs one stage, by default in PyTorch (or in an ONNX session). Audio that has not
    arrived counts as zeros, so that a network with audio runs on video alone.
    """

    def __init__(self, stages: Sequence[Stage], call: Call = run_in_torch) -> None:
        self.stages = sorted(stages, key=lambda stage: STAGE_NAMES.index(stage.name))
        self._call = call
        self._tracks: dict[Hashable, _Memory] = {}

    def drop(self, track: Hashable) -> None:
        """Delete the memory of a track."""
        self._tracks.pop(track, None)

    def push_audio(self, track: Hashable, mel: Tensor) -> None:
        """Run the `audio` stage, if there is one, on a chunk of audio up to now."""
        memory = self._tracks.setdefault(track, _Memory())
        for stage in self.stages:
            if stage.name == "audio":
                self._run(stage, memory, {"mel": mel})

    def step(self, track: Hashable, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run a frame of a face, inputs [1, ...] by name; returns the outputs of all stages."""
        memory = self._tracks.setdefault(track, _Memory())
        for stage in self.stages:
            if stage.name == "audio":
                for form in stage.outputs:
                    memory.outputs.setdefault(form.name, torch.zeros(1, *form.shape))
            elif memory.frames % stage.frame_stride == 0:
                self._run(stage, memory, {**memory.outputs, **inputs})
        memory.frames += 1
        return dict(memory.outputs)

    def _run(self, stage: Stage, memory: _Memory, values: Mapping[str, Tensor]) -> None:
        missing = [form.name for form in stage.inputs if form.name not in values]
        if missing:
            raise ValueError(
                f"stage {stage.name!r} expected {[form.name for form in stage.inputs]}, "
                f"got no {', '.join(missing)}"
            )
        states = memory.states.get(stage.name) or tuple(
            torch.zeros(1, *form.shape) for form in stage.states
        )
        results = self._call(stage, (*(values[form.name] for form in stage.inputs), *states))
        memory.outputs.update(
            {form.name: value for form, value in zip(stage.outputs, results, strict=False)}
        )
        memory.states[stage.name] = tuple(results[len(stage.outputs) :])
