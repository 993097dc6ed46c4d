"""A mouth that follows a voice: the jaw its energy, the shape of the lips its color."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.au_tracks import OPENING_UNITS, UnitTracks
from training.synthesis.videos.smooth_tracks import low_pass, onset_apex_offset
from training.synthesis.videos.video_file import AUDIO_RATE_HZ

WINDOW_S: Final[float] = 0.06
FLOOR_DB: Final[float] = -28.0
"""Energy below the loud parts of the speech at which the mouth is closed."""

SPEAKING_S: Final[float] = 0.25
"""Blur that makes talk out of syllables."""

SPEAKING_OPEN_SHARE: Final[float] = 0.3
"""What speech leaves of an emotion's parted lips and dropped jaw."""

ARTICULATION_S: Final[float] = 0.035
"""Blur of the mouth against the audio: lips and jaw do not follow faster."""


def _windows(samples: FloatArray, time_s: FloatArray) -> FloatArray:
    """Pieces [n, w] of the audio around frame times [n]; silence outside."""
    width = round(WINDOW_S * AUDIO_RATE_HZ)
    padded = np.pad(samples, width)
    start = np.rint(time_s * AUDIO_RATE_HZ).astype(int) - width // 2 + width
    start = np.clip(start, 0, len(padded) - width)
    return np.asarray(padded[start[:, None] + np.arange(width)], np.float32)


def voice_energy(samples: FloatArray, time_s: FloatArray) -> FloatArray:
    """Energy [n] of speech samples at frame times, 0 (silence) to 1 (loud), linear in decibels
    between.
    """
    rms = np.asarray(np.sqrt((_windows(samples, time_s) ** 2).mean(axis=1)), np.float32)
    loud = rms[rms > 1e-4]
    if not len(loud):
        return np.zeros(len(time_s), np.float32)
    level_db = 20 * np.log10(np.maximum(rms, 1e-6) / np.quantile(loud, 0.92))
    return np.asarray(np.clip(1 - level_db / FLOOR_DB, 0, 1), np.float32)


def voice_color(samples: FloatArray, time_s: FloatArray) -> FloatArray:
    """-1 (dark, as in "oo") to 1 (bright, as in "ee") at frame times [n], relative to this voice; 0
    in silence.
    """
    pieces = _windows(samples, time_s) * np.hanning(round(WINDOW_S * AUDIO_RATE_HZ)).astype(
        np.float32
    )
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    frequency = np.fft.rfftfreq(pieces.shape[1], 1 / AUDIO_RATE_HZ)
    band = (frequency > 250) & (frequency < 3800)
    total = power[:, band].sum(axis=1)
    is_voiced = total > 0.01 * max(float(total.max()), 1e-9)
    if is_voiced.sum() < 3:
        return np.zeros(len(time_s), np.float32)
    center = np.log((power[:, band] * frequency[band]).sum(axis=1) / np.maximum(total, 1e-12) + 1.0)
    middle, spread = np.median(center[is_voiced]), np.std(center[is_voiced]) + 1e-3
    return np.where(is_voiced, np.clip((center - middle) / (1.6 * spread), -1, 1), 0).astype(
        np.float32
    )


def mouth_units(
    rng: np.random.Generator, energy: FloatArray, color: FloatArray, fps: float
) -> UnitTracks:
    """Units of the mouth that speak an audio of this energy [n] and color [n]; the person's manner
    is drawn.
    """
    opening = low_pass(energy, fps, ARTICULATION_S) ** 1.3
    shape = low_pass(color * energy, fps, 0.05)
    jaw, lips = float(rng.uniform(0.3, 0.65)), float(rng.uniform(0.45, 0.85))
    rounding, spreading = float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.15, 0.5))
    is_round, is_wide = np.maximum(0, -shape), np.maximum(0, shape)
    return {
        "AU26": np.asarray(jaw * opening * (1 - 0.25 * is_wide), np.float32),
        "AU25": np.asarray(lips * opening, np.float32),
        "AU18" if rng.random() < 0.5 else "AU22": np.asarray(
            rounding * is_round * np.sqrt(opening), np.float32
        ),
        "AU20": np.asarray(spreading * is_wide, np.float32),
    }


def blend_speech(emotion: UnitTracks, energy: FloatArray, fps: float) -> UnitTracks:
    """The same units with less of an open mouth while the person speaks: speech leads the jaw, the
    emotion colors it.
    """
    speaking = np.clip(1.6 * low_pass(energy, fps, SPEAKING_S), 0, 1)
    share = 1 - (1 - SPEAKING_OPEN_SHARE) * speaking
    return {
        unit: np.asarray(track * share, np.float32) if unit in OPENING_UNITS else track
        for unit, track in emotion.items()
    }


def brow_accents(
    rng: np.random.Generator, energy: FloatArray, time_s: FloatArray, fps: float
) -> UnitTracks:
    """Raised brows on some loud syllables."""
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
