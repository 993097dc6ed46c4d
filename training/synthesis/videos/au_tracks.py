"""Simulates AU intensities over time: onset, apex and offset of AUs, non-emotional AUs, blinks.

Conflicting AUs are faded out. As in `expression_sampler`, `unit` stands for an action unit or
action descriptor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synthesis.expression_sampler import Expression
from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.affect_track import OFFSET_S, ONSET_S, EmotionSegment
from training.synthesis.videos.emotion_prototypes import PROTOTYPES
from training.synthesis.videos.motion_curves import (
    minimum_jerk,
    onset_apex_offset,
    ramp,
    smooth_noise,
)

AuTracks = dict[str, FloatArray]
"""Intensity [n], 0..1, by unit."""

NON_EMOTIONAL_INTERVAL_S: Final[float] = 2.0
"""Mean interval between units that belong to no emotion: concentration, listening, an itch."""

NON_EMOTIONAL_AUS: Final[tuple[tuple[float, dict[str, float]], ...]] = (
    (0.8, {"AU1": 0.9, "AU2": 1.0}),
    (0.7, {"AU2": 0.9}),
    (0.9, {"AU4": 0.9}),
    (0.7, {"AU4": 0.8, "AU7": 0.9}),
    (1.0, {"AU7": 1.0}),
    (0.5, {"AU6": 0.8, "AU7": 0.5}),
    (1.5, {"AU24": 1.0}),
    (1.9, {"AU23": 1.0}),
    (1.0, {"AU15": 0.9, "AU17": 0.7}),
    (0.6, {"AU10": 0.8}),
    (0.6, {"AU17": 0.9}),
    (0.4, {"AU14": 0.8}),
    (0.3, {"AU18": 0.8}),
    (0.3, {"AU28": 0.9}),
    (0.3, {"AU26": 0.8, "AU25": 0.7}),
    (0.2, {"puff": 0.8}),
)
"""Weights of the combinations, and the relative intensity of their units; AU12 is reserved for
happiness.
"""

BLINK_MEAN_S: Final[float] = 3.2
BLINK_CLOSE_S = 0.10
BLINK_OPEN_S = 0.20
"""About 19 blinks per minute, between rest and conversation (Bentivoglio et al. 1997); lids close
faster than they open.
"""

OPENING_UNITS: Final = ("AU25", "AU26", "AU16", "AU22", "tongue")
PRESSING_UNITS: Final = ("AU23", "AU24", "AU28", "puff", "AU17")

ONE_SIDED_PROBABILITY: Final[float] = 0.08


def emotion_aus(
    rng: np.random.Generator, segments: list[EmotionSegment], time_s: FloatArray, fps: float
) -> AuTracks:
    """Returns tracks of the emotional segments; onset, apex and offset vary per unit."""
    tracks: AuTracks = {}
    for segment in segments:
        for emotion, emotion_weight in segment.emotions:
            variants = PROTOTYPES[emotion]
            # A blend shows both emotions at reduced intensity.
            is_blend = len(segment.emotions) > 1
            weight = min(1.0, emotion_weight + 0.3) if is_blend else emotion_weight
            for unit, part in variants[rng.integers(len(variants))].items():
                peak = segment.level * weight * part * float(rng.uniform(0.85, 1.2))
                _merge_max(tracks, unit, min(peak, 1.0) * _unit_envelope(rng, segment, time_s, fps))
    return tracks


def _merge_max(tracks: AuTracks, unit: str, track: FloatArray) -> None:
    tracks[unit] = np.maximum(tracks[unit], track) if unit in tracks else track


def _unit_envelope(
    rng: np.random.Generator, segment: EmotionSegment, time_s: FloatArray, fps: float
) -> FloatArray:
    length_s = segment.end_s - segment.start_s
    onset_s = min(ONSET_S * float(rng.uniform(0.6, 1.3)), 0.4 * length_s)
    offset_s = min(OFFSET_S * float(rng.uniform(0.6, 1.3)), 0.5 * length_s)
    start_s = segment.start_s - onset_s / 2 + float(rng.uniform(-0.08, 0.12))
    end_s = segment.end_s + offset_s / 2 + float(rng.uniform(-0.15, 0.10))
    envelope = onset_apex_offset(time_s, start_s, end_s, onset_s, offset_s)
    variation = 1 + 0.07 * smooth_noise(rng, len(time_s), fps, 0.35)
    return np.asarray(np.clip(envelope * variation, 0, 1), np.float32)


def _loudness(
    voice_energy: FloatArray, time_s: FloatArray, start_s: float, length_s: float
) -> float:
    """Returns the mean voice energy over `length_s` from `start_s`.

    Uses the nearest frame where the frame rate is too low for any frame to be inside.
    """
    within = (time_s >= start_s) & (time_s < start_s + length_s)
    if not within.any():
        return float(voice_energy[np.abs(time_s - start_s - length_s / 2).argmin()])
    return float(voice_energy[within].mean())


def non_emotional_aus(
    rng: np.random.Generator,
    segments: list[EmotionSegment],
    time_s: FloatArray,
    voice_energy: FloatArray,
) -> AuTracks:
    """Samples units outside any emotion, mostly while the face is neutral.

    Units that press the lips are placed where the voice is quiet.
    """
    tracks: AuTracks = {}
    weights = np.array([weight for weight, _ in NON_EMOTIONAL_AUS])
    duration_s = float(time_s[-1])
    for _ in range(rng.poisson(duration_s / NON_EMOTIONAL_INTERVAL_S + 0.5)):
        length_s = float(rng.uniform(0.7, 2.4))
        units = NON_EMOTIONAL_AUS[rng.choice(len(NON_EMOTIONAL_AUS), p=weights / weights.sum())][1]
        starts_s = rng.uniform(
            -0.2, max(0.1, duration_s - 0.5), 5 if units.keys() & set(PRESSING_UNITS) else 1
        )
        start_s = min(
            map(float, starts_s), key=lambda s: _loudness(voice_energy, time_s, s, length_s)
        )
        segment = next(
            (s for s in segments if s.start_s <= start_s + length_s / 2 < s.end_s), segments[-1]
        )
        if segment.emotions and rng.random() < 0.85:
            continue
        level = float(0.4 + 0.55 * rng.beta(1.3, 1.3))
        edge_s = float(rng.uniform(0.2, 0.4)) * min(1.0, length_s)
        envelope = onset_apex_offset(time_s, start_s, start_s + length_s, edge_s, edge_s * 1.3)
        for unit, part in units.items():
            _merge_max(tracks, unit, np.asarray(level * part * envelope, np.float32))
    return tracks


def blink_track(rng: np.random.Generator, time_s: FloatArray) -> FloatArray:
    """Samples lid closure [n], 0 open to 1 closed; some blinks are incomplete."""
    track = np.zeros(len(time_s), np.float32)
    blink_s = float(rng.uniform(0.2, 1.5 * BLINK_MEAN_S))
    while blink_s < time_s[-1]:
        depth = 1.0 if rng.random() < 0.85 else float(rng.uniform(0.5, 0.9))
        slow = float(rng.uniform(0.85, 1.3))
        closing = minimum_jerk(1 + (time_s - blink_s) / (BLINK_CLOSE_S * slow))
        opening = minimum_jerk(1 - (time_s - blink_s - 0.03) / (BLINK_OPEN_S * slow))
        track = np.maximum(track, np.float32(depth) * np.minimum(closing, opening))
        blink_s += float(max(0.4, rng.lognormal(np.log(BLINK_MEAN_S) - 0.25, 0.7)))
    return track


def merge_tracks(*sources: AuTracks) -> AuTracks:
    """Returns the maximum of the sources per unit."""
    merged: AuTracks = {}
    for source in sources:
        for unit, track in source.items():
            _merge_max(merged, unit, track)
    return merged


def resolve_conflicts(tracks: AuTracks, rig: str) -> AuTracks:
    """Fades out units that hide or cancel others, as `expression_sampler` does for images."""
    zero = np.zeros_like(next(iter(tracks.values())))
    kept = {unit: track.copy() for unit, track in tracks.items()}
    # The ARKit rig has no lip tightener: the lip pressor replaces it.
    if rig == "arkit" and "AU23" in kept:
        _merge_max(kept, "AU24", kept.pop("AU23"))

    def value(*units: str) -> FloatArray:
        return np.asarray(np.maximum.reduce([kept.get(unit, zero) for unit in units]), np.float32)

    def fade(units: tuple[str, ...], fade_out: FloatArray) -> None:
        for unit in units:
            if unit in kept:
                kept[unit] = kept[unit] * (1 - fade_out)

    fade(PRESSING_UNITS, ramp(value(*OPENING_UNITS), 0.06, 0.24))
    fade(("AU15",), ramp(value("AU12"), 0.1, 0.35))
    fade(("AU18", "AU22"), ramp(value("AU12", "AU15", "AU20", "AU23", "AU24", "AU10"), 0.15, 0.4))
    fade(("AU14",), ramp(value("AU12", "AU15"), 0.1, 0.3))
    fade(("AU10",), ramp(value("AU23", "AU24", "AU28", "puff"), 0.1, 0.3))
    fade(("AU17",), ramp(value("AU12"), 0.1, 0.35))
    fade(("AU24",), ramp(value("AU23", "AU28", "puff"), 0.1, 0.35))
    fade(("AU23",), ramp(value("AU28", "puff"), 0.1, 0.35))
    fade(("AU5", "AU7"), ramp(value("blink"), 0.15, 0.5))
    if "AU9" in kept:
        kept["AU9"] = np.minimum(kept["AU9"], 0.7)
    if "AU26" in kept:  # the jaw does not drop behind closed lips
        kept["AU25"] = np.maximum(kept.get("AU25", zero), 0.36 * ramp(kept["AU26"], 0.05, 0.36))
    return kept


@dataclass(frozen=True, slots=True)
class MotionStyle:
    """Motion parameters of one person that are constant within a video."""

    variant_index: dict[str, int]
    gains: dict[str, tuple[float, float]]  # left and right, by unit


def sample_motion_style(rng: np.random.Generator, units: list[str]) -> MotionStyle:
    """Samples target variants and asymmetry of a person; rarely a unit is clearly one-sided."""
    gains = {}
    variants = {}
    tilt = float(rng.normal(0, 0.06))
    for unit in sorted(units):
        weaker = 1 - abs(tilt + float(rng.normal(0, 0.05)))
        if unit not in ("AU25", "AU26", "blink") and rng.random() < ONE_SIDED_PROBABILITY:
            weaker = float(rng.uniform(0.2, 0.6))
        sides = (1.0, float(np.clip(weaker, 0, 1)))
        gains[unit] = sides if rng.random() < 0.5 else sides[::-1]
        variants[unit] = int(rng.integers(0, 6))
    return MotionStyle(variants, gains)


def to_expressions(
    tracks: AuTracks, gaze_deg: FloatArray, motion_style: MotionStyle
) -> list[Expression]:
    """Returns one expression per frame; `gaze_deg` is [n, 2], right and up."""
    frames = []
    for k, gaze in enumerate(gaze_deg):
        units = {}
        for unit, track in tracks.items():
            value = float(track[k])
            if value > 0.005:
                left, right = motion_style.gains[unit]
                units[unit] = (value * left, value * right)
        gaze_of_frame = (float(gaze[0]), float(gaze[1]))
        frames.append(Expression(units, gaze_of_frame, motion_style.variant_index))
    return frames
