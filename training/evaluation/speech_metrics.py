"""Correlation of AU25 and AU26 with the loudness of the voice on clips of speaking people."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.audio.audio_file import read_audio
from training.audio.frame_times import frame_audio_offsets
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.clip_metrics import track_face
from training.labeling.label_faces import open_yunet

SPEECH_CLIPS: Final = "grid_*.mpg"
RATE_HZ: Final = 16_000
_QUIET_DB: Final = -60.0
_WINDOW_S: Final = 0.12  # about a syllable: lips part before a syllable and close after it


def speech_metrics(runner: BundleRunner, shared: Path) -> dict[str, Any]:
    """Returns the correlation of mouth-opening AU scores with loudness, by clip."""
    detector = open_yunet(shared)
    clips = {}
    for clip in sorted((shared / "data" / "videos").glob(SPEECH_CLIPS)):
        rows = track_face(runner, detector, clip)
        in_audio_s = rows["time_s"] + frame_audio_offsets(clip)[0]
        loudness = loudness_db(read_audio(clip, RATE_HZ).samples, in_audio_s)
        is_tracked = np.isfinite(rows["AU25"])
        scores = {name: rows[name][is_tracked] for name in ("AU25", "AU26")}
        scores["lip gap of the landmarks"] = rows["lip_gap"][is_tracked]
        scores["AU25 or AU26"] = np.maximum(scores["AU25"], scores["AU26"])
        clips[clip.name] = {
            name: correlation(_smooth(score), loudness[is_tracked])
            for name, score in scores.items()
        }
    mean = {
        name: float(np.mean([values[name] for values in clips.values()]))
        for name in next(iter(clips.values()))
    }
    return {"clips": clips, "mean": mean}


def loudness_db(
    audio: NDArray[np.float32], time_s: NDArray[np.float64], window_s: float = _WINDOW_S
) -> NDArray[np.float64]:
    """Returns the RMS level [T] in dBFS of mono samples [n] at `RATE_HZ`; silence is -60.

    The level is that of a window around each time [T] in seconds since the first sample.
    """
    half = window_s * RATE_HZ / 2
    total = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    low = np.clip(np.rint(time_s * RATE_HZ - half), 0, len(audio)).astype(int)
    high = np.clip(np.rint(time_s * RATE_HZ + half), 0, len(audio)).astype(int)
    power = (total[high] - total[low]) / np.maximum(high - low, 1)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _QUIET_DB))


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Returns the Pearson correlation; 0 if one input is constant."""
    if first.std() < 1e-9 or second.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Averages three frames, to match the window length of the loudness."""
    padded = np.pad(values, 1, mode="edge")
    return np.convolve(padded, np.full(3, 1 / 3), mode="valid")
