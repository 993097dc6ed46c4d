"""Loudness compared with closed forms, correlation with the standard library, and both on a clip
whose audio starts late.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.training.audio.synthetic_media import write_video
from training.evaluation import speech_metrics as speech
from training.evaluation.speech_metrics import RATE_HZ, correlation, loudness_db

REQUIRES = ("av",)

WINDOW_S = 0.12


def test_loudness_db_of_tone_matches_amplitude() -> None:
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    for amplitude in (1.0, 0.25, 0.01):
        tone = (amplitude * np.sin(2 * np.pi * 400 * time_s)).astype(
            np.float32
        )  # 48 periods in a window
        level = loudness_db(tone, np.array([0.5, 1.0, 1.37]))
        np.testing.assert_allclose(level, 20 * np.log10(amplitude / np.sqrt(2)), atol=0.01)


def test_loudness_db_window_is_centered_and_clipped() -> None:
    step = np.concatenate([np.zeros(RATE_HZ), np.full(RATE_HZ, 0.5)]).astype(np.float32)
    times = 1 + WINDOW_S * np.array([-0.51, -0.25, 0, 0.25, 0.51])
    fraction = np.array([0, 0.25, 0.5, 0.75, 1])
    with np.errstate(divide="ignore"):
        expected = np.maximum(10 * np.log10(0.25 * fraction), -60)
    np.testing.assert_allclose(loudness_db(step, times, WINDOW_S), expected, atol=0.01)
    # The window is clipped to the audio: at the end, its second half does not count; beyond the
    # audio there is silence.
    np.testing.assert_allclose(
        loudness_db(step, np.array([2.0, 2.1, -1.0])), [20 * np.log10(0.5), -60, -60], atol=0.01
    )


def test_loudness_db_of_silence_is_floor() -> None:
    assert loudness_db(np.zeros(RATE_HZ, np.float32), np.array([0.0, 0.5])).tolist() == [-60, -60]
    assert loudness_db(np.full(RATE_HZ, 1e-4, np.float32), np.array([0.5])).tolist() == [-60]


def test_correlation_is_pearson() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=80)
    for slope in (-1.0, 0.0, 0.5, 3.0):
        second = slope * first + random.normal(size=80)
        assert correlation(first, second) == pytest.approx(
            statistics.correlation(first.tolist(), second.tolist()), abs=1e-12
        )
    assert correlation(first, 2 - 3 * first) == pytest.approx(-1)
    assert correlation(first, np.full(80, 0.3)) == correlation(np.full(80, 0.3), first) == 0


def test_speech_metrics_detect_lips_moving_with_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two bursts in video time; the audio track starts 0.4 s after the first frame."""
    start_s, frame_s = 0.4, np.arange(50) * 0.04
    audio_s = start_s + np.arange(int(1.6 * RATE_HZ)) / RATE_HZ
    loud = ((audio_s > 0.6) & (audio_s < 0.9)) | ((audio_s > 1.4) & (audio_s < 1.6))
    audio = np.where(loud, 0.5, 0) * np.sin(2 * np.pi * 300 * audio_s)
    folder = tmp_path / "data" / "videos"
    folder.mkdir(parents=True)
    write_video(folder / "grid_a.mkv", frame_s, np.stack([audio, audio]), RATE_HZ, start_s)
    (folder / "other.mkv").write_bytes(b"no clip of speech")

    def track_face(*_: Any) -> dict[str, np.ndarray]:
        parted = ((frame_s > 0.6) & (frame_s < 0.9)).astype(float)
        dropped = ((frame_s > 1.4) & (frame_s < 1.6)).astype(float)
        parted[3] = np.nan  # a frame without a face
        gap = np.fmax(parted, dropped)
        return {"time_s": frame_s, "AU25": parted, "AU26": dropped, "lip_gap": gap}

    monkeypatch.setattr(speech, "SPEECH_CLIPS", "grid_*.mkv")
    monkeypatch.setattr(speech, "track_face", track_face)
    monkeypatch.setattr(speech, "open_yunet", lambda _: None)
    results = speech.speech_metrics(SimpleNamespace(), tmp_path)  # type: ignore[arg-type]
    assert list(results["clips"]) == ["grid_a.mkv"]
    both = results["clips"]["grid_a.mkv"]
    assert both == results["mean"]
    assert both["AU25 or AU26"] > 0.85
    assert both["lip gap of the landmarks"] == both["AU25 or AU26"]
    assert 0.3 < both["AU26"] < both["AU25"] < 0.8
