"""A network's stages frame by frame, with memory for each face."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from training.models.stages import STAGE_NAMES, Stage

Call = Callable[[Stage, tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass(slots=True)
class _Memory:
    """Of one face."""

    frames: int = 0
    states: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    held: dict[str, Tensor] = field(default_factory=dict)


def run_in_torch(stage: Stage, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        found: tuple[Tensor, ...] = stage.module(*tensors)
    return found


class StreamRunner:
    """Gives each face of each frame its read-outs; a face's memory starts empty and ends with its
    track.

    `call` runs one stage; the default is PyTorch, an ONNX session does as well. A stage runs
    where all its inputs are there; audio that has not come yet counts as zeros, so that a
    network with audio runs on video alone.
    """

    def __init__(self, stages: Sequence[Stage], call: Call = run_in_torch) -> None:
        self.stages = sorted(stages, key=lambda stage: STAGE_NAMES.index(stage.name))
        self._call = call
        self._tracks: dict[Hashable, _Memory] = {}

    def tracks(self) -> list[Hashable]:
        """Faces that are remembered."""
        return list(self._tracks)

    def drop(self, track: Hashable) -> None:
        """Forget a face; a later one of the same id starts anew."""
        self._tracks.pop(track, None)

    def hear(self, track: Hashable, mel: Tensor) -> None:
        """Audio up to now, one stretch as the `audio` stage wants it; without such a stage nothing
        happens.
        """
        memory = self._tracks.setdefault(track, _Memory())
        for stage in self.stages:
            if stage.name == "audio":
                self._run(stage, memory, {"mel": mel})

    def see(self, track: Hashable, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One frame of one face, [1, ...] by name -> all stages' outputs by name."""
        memory = self._tracks.setdefault(track, _Memory())
        for stage in self.stages:
            if stage.name == "audio":
                for form in stage.outputs:
                    memory.held.setdefault(form.name, torch.zeros(1, *form.shape))
            elif memory.frames % stage.frame_stride == 0:
                self._run(stage, memory, {**memory.held, **inputs})
        memory.frames += 1
        return dict(memory.held)

    def _run(self, stage: Stage, memory: _Memory, values: Mapping[str, Tensor]) -> None:
        missing = [form.name for form in stage.inputs if form.name not in values]
        if missing:
            raise ValueError(
                f"stage {stage.name!r} wants {[form.name for form in stage.inputs]}, {missing} did not come"
            )
        states = memory.states.get(stage.name) or tuple(
            torch.zeros(1, *form.shape) for form in stage.states
        )
        found = self._call(stage, (*(values[form.name] for form in stage.inputs), *states))
        memory.held.update(
            {form.name: value for form, value in zip(stage.outputs, found, strict=False)}
        )
        memory.states[stage.name] = tuple(found[len(stage.outputs) :])
