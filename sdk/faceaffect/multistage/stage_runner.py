"""Runs the stages of a model frame by frame, with a memory for each face and one for the audio."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from faceaffect.audio.feature_stream import AudioFeatures
from faceaffect.bundle.stage_spec import AUDIO, CROPS, StageSpec
from faceaffect.types import FloatArray

MEMORY_TIMEOUT_S: Final = 1.0
"""How long the memory of an absent face is kept, for a track that is resumed under its old id."""

_ROUNDING_S: Final = 1e-3  # containers stamp frames to the millisecond


class StageCall(Protocol):
    """One stage of a model, ready to run."""

    spec: StageSpec

    def run(self, tensors: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Map tensors [N, ...] to tensors [N, ...]; states have the same names on both sides."""
        ...


@dataclass(slots=True)
class _Memory:
    """Memory of one face, or of the audio: tensors without the axis of faces."""

    frames: int = 0
    due_s: float = -math.inf  # time of the next frame to process
    last_seen_s: float = 0.0
    states: dict[tuple[str, str], FloatArray] = field(default_factory=dict)  # by stage and name
    outputs: dict[str, FloatArray] = field(default_factory=dict)


class StageRunner:
    """Computes the outputs of all stages for each face of each frame.

    Without audio the outputs of the audio stage are zeros, so that the model runs on video alone.
    With `input_fps` at most so many frames of a face are processed a second; the outputs of the
    last one are repeated on those in between.
    """

    def __init__(self, stages: Sequence[StageCall], input_fps: float | None = None) -> None:
        self._step_s = 0.0 if input_fps is None else 1 / input_fps
        self._audio = next((stage for stage in stages if stage.spec.name == "audio"), None)
        self._stages = [stage for stage in stages if stage is not self._audio]
        self.reset()

    def reset(self) -> None:
        """Forget all faces and all audio."""
        self._faces: dict[int, _Memory] = {}
        self._audio_memory = self._initial_audio_memory()

    def active_tracks(self) -> list[int]:
        """Ids of the faces that have a memory."""
        return list(self._faces)

    def push_audio(self, features: AudioFeatures) -> None:
        """Process the audio since the last frame."""
        if self._audio is None:
            return
        if features.has_gap:
            self._audio_memory = self._initial_audio_memory()
        for mel in features.inputs:
            _run(self._audio, [self._audio_memory], {AUDIO: mel[None]}, {})

    def _initial_audio_memory(self) -> _Memory:
        shapes = {} if self._audio is None else self._audio.spec.outputs
        return _Memory(
            outputs={name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        )

    def step(
        self, crops: FloatArray, track_id: Sequence[int], time_s: float
    ) -> list[Mapping[str, FloatArray]]:
        """Process one frame.

        Args:
            crops: [N, C, S, S]; not read unless `needs_crops`.
            track_id: Ids of the faces [N].
            time_s: Time of the frame.

        Returns:
            Outputs of each face, without the axis of faces.
        """
        self._drop_stale(set(track_id), time_s)
        memories = [self._faces.setdefault(key, _Memory()) for key in track_id]
        due = [row for row, memory in enumerate(memories) if self._is_due(memory, time_s)]
        for row in due:
            self._set_next_due(memories[row], time_s)
        for stage in self._stages:
            rows = [row for row in due if memories[row].frames % stage.spec.frame_stride == 0]
            if rows:
                selected = crops if len(rows) == len(crops) else crops[rows]
                inputs = {CROPS: selected}
                _run(stage, [memories[row] for row in rows], inputs, self._audio_memory.outputs)
        for row in due:
            memories[row].frames += 1
        for memory in memories:
            memory.last_seen_s = time_s
        return [memory.outputs for memory in memories]

    def needs_crops(self, track_id: Sequence[int], time_s: float) -> bool:
        """Whether `step` with the same arguments would process any face."""
        faces = self._faces
        return any(key not in faces or self._is_due(faces[key], time_s) for key in track_id)

    def _is_due(self, memory: _Memory, time_s: float) -> bool:
        """Whether the frame at `time_s` is processed for a face; below `input_fps` all are."""
        return time_s >= memory.due_s - _ROUNDING_S or self._was_set_back(memory, time_s)

    def _was_set_back(self, memory: _Memory, time_s: float) -> bool:
        """Whether the source's clock went back since the last processed frame."""
        return memory.due_s - time_s > 2 * self._step_s

    def _set_next_due(self, memory: _Memory, time_s: float) -> None:
        """Schedule the frame after the one at `time_s`; all of them without `input_fps`."""
        if not self._step_s:
            return
        is_first = self._was_set_back(memory, time_s) or memory.due_s == -math.inf
        memory.due_s = (
            time_s + self._step_s if is_first else max(memory.due_s + self._step_s, time_s)
        )

    def _drop_stale(self, present: set[int], time_s: float) -> None:
        stale = [
            key
            for key, memory in self._faces.items()
            if key not in present and time_s - memory.last_seen_s > MEMORY_TIMEOUT_S
        ]
        for key in stale:
            del self._faces[key]


def _run(
    stage: StageCall,
    memories: list[_Memory],
    inputs: dict[str, FloatArray],
    audio_outputs: Mapping[str, FloatArray],
) -> None:
    """Run a stage on some faces, and store its outputs and states in their memories."""
    spec = stage.spec
    tensors: dict[str, FloatArray] = {}
    for name in spec.inputs:
        if name in inputs:
            tensors[name] = inputs[name]
        elif name in audio_outputs:
            tensors[name] = np.repeat(audio_outputs[name][None], len(memories), axis=0)
        else:
            tensors[name] = np.stack([memory.outputs[name] for memory in memories])
    for name, shape in spec.states.items():
        empty = np.zeros(shape, np.float32)
        tensors[name] = np.stack(
            [memory.states.get((spec.name, name), empty) for memory in memories]
        )
    results = stage.run(tensors)
    for row, memory in enumerate(memories):
        memory.outputs.update({name: results[name][row] for name in spec.outputs})
        memory.states.update({(spec.name, name): results[name][row] for name in spec.states})
