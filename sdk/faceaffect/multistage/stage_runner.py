"""A model's stages frame by frame: a memory for each face, and one for the audio that all of them
hear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from faceaffect.audio.feature_stream import AudioFeatures
from faceaffect.bundle.stage_spec import AUDIO, CROPS, StageSpec
from faceaffect.types import FloatArray

FORGET_S: Final = 1.0
"""How long a face may be away before its memory ends; one that comes back sooner under its old id
goes on.
"""

_ROUNDING_S: Final = 1e-3  # containers stamp frames to the millisecond


class StageCall(Protocol):
    """A stage that can be run: tensors [N, ...] in and out, states under their own names on both
    sides.
    """

    spec: StageSpec

    def run(self, tensors: dict[str, FloatArray]) -> dict[str, FloatArray]: ...


@dataclass(slots=True)
class _Memory:
    """Of one face, or of the audio: tensors without the axis of faces."""

    frames: int = 0
    due_s: float = -math.inf  # when its next frame counts
    seen_s: float = 0.0
    states: dict[tuple[str, str], FloatArray] = field(default_factory=dict)  # by stage and name
    held: dict[str, FloatArray] = field(default_factory=dict)


class StageRunner:
    """Gives each face of each frame the outputs of all stages.

    Audio that was never heard counts as zeros, so that a model that hears runs on video alone.
    With `input_fps` so many frames of a face a second count at most; on those between them its
    outputs hold.
    """

    def __init__(self, stages: Sequence[StageCall], input_fps: float | None = None) -> None:
        self._step_s = 0.0 if input_fps is None else 1 / input_fps
        self._audio = next((stage for stage in stages if stage.spec.name == "audio"), None)
        self._stages = [stage for stage in stages if stage is not self._audio]
        self.reset()

    def reset(self) -> None:
        """Forget all faces and all audio."""
        self._faces: dict[int, _Memory] = {}
        self._audio_memory = self._silence()

    def tracks(self) -> list[int]:
        """Faces that are remembered."""
        return list(self._faces)

    def hear(self, heard: AudioFeatures) -> None:
        """Take audio up to now."""
        if self._audio is None:
            return
        if heard.skipped:
            self._audio_memory = self._silence()
        for mel in heard.pieces:
            _run(self._audio, [self._audio_memory], {AUDIO: mel[None]}, {})

    def _silence(self) -> _Memory:
        outputs = {} if self._audio is None else self._audio.spec.outputs
        return _Memory(held={name: np.zeros(shape, np.float32) for name, shape in outputs.items()})

    def see(
        self, crops: FloatArray, track_id: Sequence[int], time_s: float
    ) -> list[Mapping[str, FloatArray]]:
        """One frame: crops [N, C, S, S] of faces `track_id` [N] -> the outputs of each, without the
        axis of faces.
        """
        self._forget(set(track_id), time_s)
        memories = [self._faces.setdefault(key, _Memory()) for key in track_id]
        counting = [row for row, memory in enumerate(memories) if self._counts(memory, time_s)]
        for stage in self._stages:
            rows = [row for row in counting if memories[row].frames % stage.spec.frame_stride == 0]
            if rows:
                chosen = crops if len(rows) == len(crops) else crops[rows]
                _run(
                    stage, [memories[row] for row in rows], {CROPS: chosen}, self._audio_memory.held
                )
        for row in counting:
            memories[row].frames += 1
        for memory in memories:
            memory.seen_s = time_s
        return [memory.held for memory in memories]

    def _counts(self, memory: _Memory, time_s: float) -> bool:
        """Whether a face's frame at `time_s` is one of those that it is read on; frames that come
        too slowly all are.
        """
        if not self._step_s:
            return True
        was_set_back = memory.due_s - time_s > 2 * self._step_s
        if time_s < memory.due_s - _ROUNDING_S and not was_set_back:
            return False
        is_first = was_set_back or memory.due_s == -math.inf
        memory.due_s = (
            time_s + self._step_s if is_first else max(memory.due_s + self._step_s, time_s)
        )
        return True

    def _forget(self, present: set[int], time_s: float) -> None:
        gone = [
            key
            for key, face in self._faces.items()
            if key not in present and time_s - face.seen_s > FORGET_S
        ]
        for key in gone:
            del self._faces[key]


def _run(
    stage: StageCall,
    memories: list[_Memory],
    given: dict[str, FloatArray],
    heard: Mapping[str, FloatArray],
) -> None:
    spec = stage.spec
    tensors: dict[str, FloatArray] = {}
    for name in spec.inputs:
        if name in given:
            tensors[name] = given[name]
        elif name in heard:
            tensors[name] = np.repeat(heard[name][None], len(memories), axis=0)
        else:
            tensors[name] = np.stack([memory.held[name] for memory in memories])
    for name, shape in spec.states.items():
        empty = np.zeros(shape, np.float32)
        tensors[name] = np.stack(
            [memory.states.get((spec.name, name), empty) for memory in memories]
        )
    found = stage.run(tensors)
    for row, memory in enumerate(memories):
        memory.held.update({name: found[name][row] for name in spec.outputs})
        memory.states.update({(spec.name, name): found[name][row] for name in spec.states})
