"""Audio as the stage `audio` of a model takes it, in time with frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.audio.audio_source import AudioError, AudioSource
from faceaffect.audio.mel import STEP_FRAMES, normalized_db, steady_db
from faceaffect.audio.mel_stream import MelStream
from faceaffect.bundle.stage_spec import CHUNK, AudioSpec
from faceaffect.types import FloatArray

_READ_S: Final = 10.0  # of audio held at a time
LONGEST_STEPS: Final = (
    100  # ten seconds: further back nothing is heard after a jump, as where a run is resumed
)


@dataclass(frozen=True, slots=True)
class AudioFeatures:
    """What the stage takes next, one after the other; `skipped`: its memory must be dropped before."""

    pieces: list[FloatArray]
    skipped: bool = False


class AudioFeatureStream:
    """Reads a source of audio up to each frame's time, in whole steps of ten mel frames from the
    first sample on.
    """

    def __init__(self, audio: AudioSource, spec: AudioSpec, columns: int) -> None:
        if audio.rate_hz != spec.mel.rate_hz:
            raise AudioError(
                f"{audio.name}: audio of {spec.mel.rate_hz} Hz is wanted, this has {audio.rate_hz}; open it at that rate"
            )
        self._audio, self._spec = audio, spec
        self._mel = MelStream(spec.mel)
        # The frames of whole steps that a window may still need, then those of no whole step yet.
        self._kept = np.zeros((columns if spec.framing != CHUNK else 0, spec.mel.bands), np.float32)
        self._rest = np.zeros((0, spec.mel.bands), np.float32)
        self._is_new = True
        self._read_s = 0.0

    def until(self, time_s: float) -> AudioFeatures:
        """What has come up to `time_s` of the frames' clock since the last call."""
        parts = [self._rest]
        while self._read_s + _READ_S < time_s:
            self._read_s += _READ_S
            parts.append(self._mel.push(self._audio.read_until(self._read_s)))
        self._read_s = max(self._read_s, time_s)
        parts.append(self._mel.push(self._audio.read_until(time_s)))
        power = np.concatenate(parts)
        whole = len(power) // STEP_FRAMES * STEP_FRAMES
        self._rest = power[whole:]
        return (
            self._stretches(power[:whole])
            if self._spec.framing == CHUNK
            else self._window(power[:whole])
        )

    def _stretches(self, power: FloatArray) -> AudioFeatures:
        steps = power.reshape(-1, STEP_FRAMES, power.shape[1])
        skipped = len(steps) > LONGEST_STEPS
        return AudioFeatures(
            [steady_db(step, self._spec.mel) for step in steps[-LONGEST_STEPS:]], skipped
        )

    def _window(self, power: FloatArray) -> AudioFeatures:
        columns = len(self._kept)
        self._kept = np.concatenate([self._kept, power])[-columns:]
        is_due, self._is_new = self._is_new or len(power) > 0, False
        return AudioFeatures([normalized_db(self._kept, self._spec.mel)] if is_due else [])
