"""Inputs of the audio stage, compared with slices of the mel of the complete signal."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.audio.feature_stream import MAX_STEPS, AudioFeatureStream
from faceaffect.audio.mel import MelConfig, fixed_floor_db, mel_power, normalized_db
from faceaffect.bundle.stage_spec import CHUNK, WINDOW, AudioSpec

MEL = MelConfig(rate_hz=1600, window_s=0.02, hop_s=0.01, fft=64, bands=6, high_hz=800)


class NoiseSource:
    name, rate_hz = "noise", MEL.rate_hz

    def __init__(self, seconds: float) -> None:
        self.notes: list[str] = []
        self.samples = (
            np.random.default_rng(2)
            .standard_normal(round(seconds * self.rate_hz))
            .astype(np.float32)
        )
        self._returned = 0

    def read_until(self, time_s: float) -> np.ndarray:
        end = max(self._returned, round(time_s * self.rate_hz))
        samples, self._returned = self.samples[self._returned : end], end
        return samples

    def close(self) -> None: ...


TIMES = [0.0, 0.04, 0.1, 0.13, 0.13, 0.35, 0.36, 1.0, 1.05]


def test_feature_stream_of_chunks_returns_each_step_once_in_order() -> None:
    audio = NoiseSource(2)
    stream = AudioFeatureStream(audio, AudioSpec(CHUNK, MEL), 10)
    power = mel_power(audio.samples, MEL)
    steps = 0
    for time_s in TIMES:
        features = stream.read_until(time_s)
        assert not features.has_gap
        expected = int(time_s * 10 + 1e-6)
        assert len(features.inputs) == expected - steps
        for mel in features.inputs:
            assert mel == pytest.approx(
                fixed_floor_db(power[10 * steps : 10 * steps + 10], MEL), abs=1e-5
            )
            steps += 1
    assert steps == 10


def test_feature_stream_of_windows_returns_one_per_step_and_one_at_start() -> None:
    audio = NoiseSource(2)
    stream = AudioFeatureStream(audio, AudioSpec(WINDOW, MEL), 25)
    power = mel_power(audio.samples, MEL)
    counts = []
    for time_s in TIMES:
        windows = stream.read_until(time_s).inputs
        counts.append(len(windows))
        end = int(time_s * 10 + 1e-6) * 10
        silent = np.zeros((max(0, 25 - end), 6), np.float32)
        for mel in windows:
            assert mel.shape == (6, 25)
            assert mel == pytest.approx(
                normalized_db(np.concatenate([silent, power[max(0, end - 25) : end]]), MEL),
                abs=1e-5,
            )
    assert counts == [1, 0, 1, 0, 0, 1, 0, 1, 0]


def test_feature_stream_after_jump_keeps_last_ten_seconds() -> None:
    audio = NoiseSource(40)
    stream = AudioFeatureStream(audio, AudioSpec(CHUNK, MEL), 10)
    stream.read_until(0.5)
    features = stream.read_until(35.0)
    assert features.has_gap
    assert len(features.inputs) == MAX_STEPS
    power = mel_power(audio.samples, MEL)
    assert features.inputs[0] == pytest.approx(fixed_floor_db(power[2500:2510], MEL), abs=1e-5)
    assert features.inputs[-1] == pytest.approx(fixed_floor_db(power[3490:3500], MEL), abs=1e-5)
    later = stream.read_until(35.1)
    assert (later.has_gap, len(later.inputs)) == (False, 1)
