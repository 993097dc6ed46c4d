"""Audio-driven mouth AUs: voice energy opens the jaw, its spectral centroid shapes the lips."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.au_tracks import OPENING_UNITS, AuTracks
from training.synthesis.videos.motion_curves import low_pass, onset_apex_offset
from training.synthesis.videos.video_file import AUDIO_RATE_HZ

WINDOW_S: Final[float] = 0.06
FLOOR_DB: Final[float] = -28.0
"""Energy relative to loud speech at which the mouth is closed."""

SPEECH_SMOOTHING_S: Final[float] = 0.25
"""Gaussian sigma that smooths syllables into speech activity."""

SPEECH_OPENING_WEIGHT: Final[float] = 0.3
"""Weight of an emotion's mouth-opening AUs during speech."""

ARTICULATION_S: Final[float] = 0.035
"""Gaussian sigma of the mouth motion; lips and jaw cannot follow faster changes."""


def _windows(samples: FloatArray, time_s: FloatArray) -> FloatArray:
    """Returns audio windows [n, w] around frame times [n], zero-padded."""
    width = round(WINDOW_S * AUDIO_RATE_HZ)
    padded = np.pad(samples, width)
    start = np.rint(time_s * AUDIO_RATE_HZ).astype(int) - width // 2 + width
    start = np.clip(start, 0, len(padded) - width)
    return np.asarray(padded[start[:, None] + np.arange(width)], np.float32)


def voice_energy(samples: FloatArray, time_s: FloatArray) -> FloatArray:
    """Returns speech energy [n] at frame times, 0 (silence) to 1 (loud), linear in decibels."""
    rms = np.asarray(np.sqrt((_windows(samples, time_s) ** 2).mean(axis=1)), np.float32)
    loud = rms[rms > 1e-4]
    if not len(loud):
        return np.zeros(len(time_s), np.float32)
    level_db = 20 * np.log10(np.maximum(rms, 1e-6) / np.quantile(loud, 0.92))
    return np.asarray(np.clip(1 - level_db / FLOOR_DB, 0, 1), np.float32)


def voice_brightness(samples: FloatArray, time_s: FloatArray) -> FloatArray:
    """Returns the spectral brightness [n] at frame times, relative to this voice.

    -1 is dark as in "oo", 1 is bright as in "ee"; 0 in silence.
    """
    windows = _windows(samples, time_s) * np.hanning(round(WINDOW_S * AUDIO_RATE_HZ)).astype(
        np.float32
    )
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    frequency = np.fft.rfftfreq(windows.shape[1], 1 / AUDIO_RATE_HZ)
    band = (frequency > 250) & (frequency < 3800)
    total = power[:, band].sum(axis=1)
    is_voiced = total > 0.01 * max(float(total.max()), 1e-9)
    if is_voiced.sum() < 3:
        return np.zeros(len(time_s), np.float32)
    center = np.log((power[:, band] * frequency[band]).sum(axis=1) / np.maximum(total, 1e-12) + 1.0)
    median = np.median(center[is_voiced])
    spread = np.std(center[is_voiced]) + 1e-3
    return np.where(is_voiced, np.clip((center - median) / (1.6 * spread), -1, 1), 0).astype(
        np.float32
    )


def speech_aus(
    rng: np.random.Generator, energy: FloatArray, brightness: FloatArray, fps: float
) -> AuTracks:
    """Samples mouth AUs for voice energy [n] and brightness [n], with random personal gains."""
    opening = low_pass(energy, fps, ARTICULATION_S) ** 1.3
    shape = low_pass(brightness * energy, fps, 0.05)
    jaw = float(rng.uniform(0.3, 0.65))
    lips = float(rng.uniform(0.45, 0.85))
    rounding = float(rng.uniform(0.3, 0.8))
    spreading = float(rng.uniform(0.15, 0.5))
    roundness = np.maximum(0, -shape)
    wideness = np.maximum(0, shape)
    return {
        "AU26": np.asarray(jaw * opening * (1 - 0.25 * wideness), np.float32),
        "AU25": np.asarray(lips * opening, np.float32),
        "AU18" if rng.random() < 0.5 else "AU22": np.asarray(
            rounding * roundness * np.sqrt(opening), np.float32
        ),
        "AU20": np.asarray(spreading * wideness, np.float32),
    }


def blend_speech(emotion: AuTracks, energy: FloatArray, fps: float) -> AuTracks:
    """Attenuates the mouth-opening AUs of an emotion during speech, which then controls the jaw."""
    speaking = np.clip(1.6 * low_pass(energy, fps, SPEECH_SMOOTHING_S), 0, 1)
    weight = 1 - (1 - SPEECH_OPENING_WEIGHT) * speaking
    return {
        unit: np.asarray(track * weight, np.float32) if unit in OPENING_UNITS else track
        for unit, track in emotion.items()
    }


def brow_accents(
    rng: np.random.Generator, energy: FloatArray, time_s: FloatArray, fps: float
) -> AuTracks:
    """Samples brow raises on some loud syllables."""
    track = np.zeros(len(time_s), np.float32)
    smooth = low_pass(energy, fps, 0.08)
    peaks = (
        np.flatnonzero(
            (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] > 0.75)
        )
        + 1
    )
    for peak in peaks:
        if rng.random() < 0.08:
            start_s = float(time_s[peak]) - float(rng.uniform(0.15, 0.3))
            envelope = onset_apex_offset(
                time_s, start_s, start_s + float(rng.uniform(0.5, 1.0)), 0.18, 0.25
            )
            track = np.maximum(track, np.float32(rng.uniform(0.35, 0.8)) * envelope)
    return {"AU1": 0.8 * track, "AU2": track}
