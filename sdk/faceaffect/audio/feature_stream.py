"""Mel features for the audio stage of a model, in step with frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.audio.audio_source import AudioError, AudioSource
from faceaffect.audio.mel import STEP_FRAMES, fixed_floor_db, normalized_db
from faceaffect.audio.mel_stream import MelStream
from faceaffect.bundle.stage_spec import CHUNK, AudioSpec
from faceaffect.types import FloatArray

_READ_S: Final = 10.0  # longest audio held at a time
# Ten seconds: after a jump in time, as where a run is resumed, older audio is skipped.
MAX_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class AudioFeatures:
    """Inputs of the audio stage since the last frame.

    Attributes:
        inputs: mel arrays, to be run one after the other.
        has_gap: True if audio was skipped, so that the stage's state must be reset first.
    """

    inputs: list[FloatArray]
    has_gap: bool = False


class AudioFeatureStream:
    """Reads an audio source up to each frame's time, in whole steps of ten mel frames.

    Steps are counted from the first sample.
    """

    def __init__(self, audio: AudioSource, spec: AudioSpec, columns: int) -> None:
        """Read `audio` as `spec` says; `columns` is the length of a window in mel frames.

        Raises:
            AudioError: the sample rate is not the model's.
        """
        if audio.rate_hz != spec.mel.rate_hz:
            raise AudioError(
                f"{audio.name}: expected audio of {spec.mel.rate_hz} Hz, got {audio.rate_hz}; "
                "open it at that rate"
            )
        self._audio = audio
        self._spec = spec
        self._mel = MelStream(spec.mel)
        # Mel frames of whole steps that a window may still need, then those of an unfinished step.
        self._window = np.zeros(
            (columns if spec.framing != CHUNK else 0, spec.mel.bands), np.float32
        )
        self._remainder = np.zeros((0, spec.mel.bands), np.float32)
        self._is_first = True
        self._read_s = 0.0

    def read_until(self, time_s: float) -> AudioFeatures:
        """Return the features that have become known from the last call to frame time `time_s`."""
        parts = [self._remainder]
        while self._read_s + _READ_S < time_s:
            self._read_s += _READ_S
            parts.append(self._mel.push(self._audio.read_until(self._read_s)))
        self._read_s = max(self._read_s, time_s)
        parts.append(self._mel.push(self._audio.read_until(time_s)))
        power = np.concatenate(parts)
        end = len(power) // STEP_FRAMES * STEP_FRAMES
        self._remainder = power[end:]
        if self._spec.framing == CHUNK:
            return self._to_chunks(power[:end])
        return self._to_window(power[:end])

    def _to_chunks(self, power: FloatArray) -> AudioFeatures:
        steps = power.reshape(-1, STEP_FRAMES, power.shape[1])
        return AudioFeatures(
            [fixed_floor_db(step, self._spec.mel) for step in steps[-MAX_STEPS:]],
            has_gap=len(steps) > MAX_STEPS,
        )

    def _to_window(self, power: FloatArray) -> AudioFeatures:
        columns = len(self._window)
        self._window = np.concatenate([self._window, power])[-columns:]
        is_due = self._is_first or len(power) > 0
        self._is_first = False
        return AudioFeatures([normalized_db(self._window, self._spec.mel)] if is_due else [])
