"""What the stage `audio` is given, against the same cut out of the mel of the whole audio."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.audio.feature_stream import LONGEST_STEPS, AudioFeatureStream
from faceaffect.audio.mel import MelConfig, mel_power, normalized_db, steady_db
from faceaffect.bundle.stage_spec import CHUNK, WINDOW, AudioSpec

MEL = MelConfig(rate_hz=1600, window_s=0.02, hop_s=0.01, fft=64, bands=6, high_hz=800)


class Noise:
    name, rate_hz = "noise", MEL.rate_hz

    def __init__(self, seconds: float) -> None:
        self.notes: list[str] = []
        self.samples = (
            np.random.default_rng(2)
            .standard_normal(round(seconds * self.rate_hz))
            .astype(np.float32)
        )
        self._given = 0

    def read_until(self, time_s: float) -> np.ndarray:
        end = max(self._given, round(time_s * self.rate_hz))
        samples, self._given = self.samples[self._given : end], end
        return samples

    def close(self) -> None: ...


TIMES = [0.0, 0.04, 0.1, 0.13, 0.13, 0.35, 0.36, 1.0, 1.05]


def test_stretches_come_once_whole_and_in_order() -> None:
    audio = Noise(2)
    listener = AudioFeatureStream(audio, AudioSpec(CHUNK, MEL), 10)
    power, heard = mel_power(audio.samples, MEL), 0
    for time_s in TIMES:
        found = listener.until(time_s)
        assert not found.skipped
        wanted = int(time_s * 10 + 1e-6)
        assert len(found.pieces) == wanted - heard
        for piece in found.pieces:
            assert piece == pytest.approx(
                steady_db(power[10 * heard : 10 * heard + 10], MEL), abs=1e-5
            )
            heard += 1
    assert heard == 10


def test_windows_come_with_each_new_step_and_at_the_start() -> None:
    audio = Noise(2)
    listener = AudioFeatureStream(audio, AudioSpec(WINDOW, MEL), 25)
    power, counts = mel_power(audio.samples, MEL), []
    for time_s in TIMES:
        found = listener.until(time_s).pieces
        counts.append(len(found))
        end = int(time_s * 10 + 1e-6) * 10
        silent = np.zeros((max(0, 25 - end), 6), np.float32)
        for piece in found:
            assert piece.shape == (6, 25)
            assert piece == pytest.approx(
                normalized_db(np.concatenate([silent, power[max(0, end - 25) : end]]), MEL),
                abs=1e-5,
            )
    assert counts == [1, 0, 1, 0, 0, 1, 0, 1, 0]


def test_after_a_jump_the_last_ten_seconds_are_heard() -> None:
    audio = Noise(40)
    listener = AudioFeatureStream(audio, AudioSpec(CHUNK, MEL), 10)
    listener.until(0.5)
    found = listener.until(35.0)
    assert found.skipped
    assert len(found.pieces) == LONGEST_STEPS
    power = mel_power(audio.samples, MEL)
    assert found.pieces[0] == pytest.approx(steady_db(power[2500:2510], MEL), abs=1e-5)
    assert found.pieces[-1] == pytest.approx(steady_db(power[3490:3500], MEL), abs=1e-5)
    later = listener.until(35.1)
    assert (later.skipped, len(later.pieces)) == (False, 1)
