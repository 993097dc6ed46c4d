"""Unit intensities over time: onset, apex and offset of each unit, stray units, blinks, and no
contradictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synthesis.expression_sampler import Expression
from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.affect_track import OFFSET_S, ONSET_S, Segment
from training.synthesis.videos.emotion_prototypes import PROTOTYPES
from training.synthesis.videos.smooth_tracks import (
    minimum_jerk,
    onset_apex_offset,
    ramp,
    smooth_noise,
)

UnitTracks = dict[str, FloatArray]
"""Unit name to intensity [n], 0..1."""

STRAY_EVERY_S: Final[float] = 2.0
"""Mean time between units that belong to no emotion: concentration, listening, an itch."""

STRAY_UNITS: Final[tuple[tuple[float, dict[str, float]], ...]] = (
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
"""Weight of each and the units with their part of the level; AU12 is left to happiness."""

BLINK_MEAN_S: Final[float] = 3.2
BLINK_CLOSE_S, BLINK_OPEN_S = 0.10, 0.20
"""About 19 blinks a minute, between rest and talk (Bentivoglio et al. 1997); lids close faster than
they open.
"""

OPENING_UNITS: Final = ("AU25", "AU26", "AU16", "AU22", "tongue")
PRESSING_UNITS: Final = ("AU23", "AU24", "AU28", "puff", "AU17")

SIDED_SHARE: Final[float] = 0.08


def emotion_units(
    rng: np.random.Generator, stretches: list[Segment], time_s: FloatArray, fps: float
) -> UnitTracks:
    """Tracks of the emotional stretches; each unit starts, peaks and ends in its own time."""
    tracks: UnitTracks = {}
    for stretch in stretches:
        for emotion, share in stretch.shares:
            variants = PROTOTYPES[emotion]
            weight = (
                share if len(stretch.shares) == 1 else min(1.0, share + 0.3)
            )  # a blend shows both, at less than full
            for unit, part in variants[rng.integers(len(variants))].items():
                peak = stretch.level * weight * part * float(rng.uniform(0.85, 1.2))
                _lay_over(tracks, unit, min(peak, 1.0) * _unit_envelope(rng, stretch, time_s, fps))
    return tracks


def _lay_over(tracks: UnitTracks, unit: str, track: FloatArray) -> None:
    tracks[unit] = np.maximum(tracks[unit], track) if unit in tracks else track


def _unit_envelope(
    rng: np.random.Generator, stretch: Segment, time_s: FloatArray, fps: float
) -> FloatArray:
    length_s = stretch.end_s - stretch.start_s
    onset_s = min(ONSET_S * float(rng.uniform(0.6, 1.3)), 0.4 * length_s)
    offset_s = min(OFFSET_S * float(rng.uniform(0.6, 1.3)), 0.5 * length_s)
    start_s = stretch.start_s - onset_s / 2 + float(rng.uniform(-0.08, 0.12))
    end_s = stretch.end_s + offset_s / 2 + float(rng.uniform(-0.15, 0.10))
    envelope = onset_apex_offset(time_s, start_s, end_s, onset_s, offset_s)
    waver = 1 + 0.07 * smooth_noise(rng, len(time_s), fps, 0.35)
    return np.asarray(np.clip(envelope * waver, 0, 1), np.float32)


def _loudness(
    voice_energy: FloatArray, time_s: FloatArray, start_s: float, length_s: float
) -> float:
    """Mean energy of the frames from `start_s` on; of the nearest one where a slow film has none in
    so short a time.
    """
    within = (time_s >= start_s) & (time_s < start_s + length_s)
    if not within.any():
        return float(voice_energy[np.abs(time_s - start_s - length_s / 2).argmin()])
    return float(voice_energy[within].mean())


def stray_units(
    rng: np.random.Generator, stretches: list[Segment], time_s: FloatArray, voice_energy: FloatArray
) -> UnitTracks:
    """Units outside any emotion, mostly while the face is neutral and, where they press the lips,
    silent.
    """
    tracks: UnitTracks = {}
    weights = np.array([weight for weight, _ in STRAY_UNITS])
    duration_s = float(time_s[-1])
    for _ in range(rng.poisson(duration_s / STRAY_EVERY_S + 0.5)):
        length_s = float(rng.uniform(0.7, 2.4))
        units = STRAY_UNITS[rng.choice(len(STRAY_UNITS), p=weights / weights.sum())][1]
        starts_s = rng.uniform(
            -0.2, max(0.1, duration_s - 0.5), 5 if units.keys() & set(PRESSING_UNITS) else 1
        )
        start_s = min(
            map(float, starts_s), key=lambda s: _loudness(voice_energy, time_s, s, length_s)
        )
        stretch = next(
            (s for s in stretches if s.start_s <= start_s + length_s / 2 < s.end_s), stretches[-1]
        )
        if stretch.shares and rng.random() < 0.85:
            continue
        level = float(0.4 + 0.55 * rng.beta(1.3, 1.3))
        edge_s = float(rng.uniform(0.2, 0.4)) * min(1.0, length_s)
        envelope = onset_apex_offset(time_s, start_s, start_s + length_s, edge_s, edge_s * 1.3)
        for unit, part in units.items():
            _lay_over(tracks, unit, np.asarray(level * part * envelope, np.float32))
    return tracks


def blink_track(rng: np.random.Generator, time_s: FloatArray) -> FloatArray:
    """Closure of the lids [n]: 1 is shut. Some blinks are incomplete."""
    track = np.zeros(len(time_s), np.float32)
    at_s = float(rng.uniform(0.2, 1.5 * BLINK_MEAN_S))
    while at_s < time_s[-1]:
        depth = 1.0 if rng.random() < 0.85 else float(rng.uniform(0.5, 0.9))
        slow = float(rng.uniform(0.85, 1.3))
        closing = minimum_jerk(1 + (time_s - at_s) / (BLINK_CLOSE_S * slow))
        opening = minimum_jerk(1 - (time_s - at_s - 0.03) / (BLINK_OPEN_S * slow))
        track = np.maximum(track, np.float32(depth) * np.minimum(closing, opening))
        at_s += float(max(0.4, rng.lognormal(np.log(BLINK_MEAN_S) - 0.25, 0.7)))
    return track


def join_tracks(*sources: UnitTracks) -> UnitTracks:
    """The stronger of the sources, unit by unit."""
    joined: UnitTracks = {}
    for source in sources:
        for unit, track in source.items():
            _lay_over(joined, unit, track)
    return joined


def resolve_tracks(tracks: UnitTracks, rig: str) -> UnitTracks:
    """Fade out what would hide or undo something else, as `expression_sampler` does for single
    images.
    """
    zero = np.zeros_like(next(iter(tracks.values())))
    kept = {unit: track.copy() for unit, track in tracks.items()}
    if (
        rig == "arkit" and "AU23" in kept
    ):  # this rig has no lip tightener: the lip pressor stands in for it
        _lay_over(kept, "AU24", kept.pop("AU23"))

    def value(*units: str) -> FloatArray:
        return np.asarray(np.maximum.reduce([kept.get(unit, zero) for unit in units]), np.float32)

    def fade(units: tuple[str, ...], against: FloatArray) -> None:
        for unit in units:
            if unit in kept:
                kept[unit] = kept[unit] * (1 - against)

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
class Manner:
    """How one person moves: what does not change within a video."""

    recipe_index: dict[str, int]
    left: dict[str, float]  # factor on each unit
    right: dict[str, float]


def draw_manner(rng: np.random.Generator, units: list[str]) -> Manner:
    """Recipes and asymmetry of a person; seldom a unit is clearly one-sided."""
    left, right, recipes = {}, {}, {}
    tilt = float(rng.normal(0, 0.06))
    for unit in sorted(units):
        weaker = 1 - abs(tilt + float(rng.normal(0, 0.05)))
        if unit not in ("AU25", "AU26", "blink") and rng.random() < SIDED_SHARE:
            weaker = float(rng.uniform(0.2, 0.6))
        sides = (1.0, float(np.clip(weaker, 0, 1)))
        left[unit], right[unit] = sides if rng.random() < 0.5 else sides[::-1]
        recipes[unit] = int(rng.integers(0, 6))
    return Manner(recipes, left, right)


def expressions(tracks: UnitTracks, gaze_deg: FloatArray, manner: Manner) -> list[Expression]:
    """One expression a frame; `gaze_deg` is [n, 2], right and up."""
    frames = []
    for k, gaze in enumerate(gaze_deg):
        units = {}
        for unit, track in tracks.items():
            value = float(track[k])
            if value > 0.005:
                units[unit] = (value * manner.left[unit], value * manner.right[unit])
        frames.append(Expression(units, (float(gaze[0]), float(gaze[1])), manner.recipe_index))
    return frames
