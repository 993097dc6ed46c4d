"""Tests of AU tracks: conflicts, blinks, low frame rates."""

import warnings

import numpy as np
import pytest

from training.synthesis.expression_sampler import PRESENT_INTENSITY
from training.synthesis.videos.affect_track import (
    sample_segments,
)
from training.synthesis.videos.au_tracks import (
    blink_track,
    emotion_aus,
    non_emotional_aus,
    resolve_conflicts,
)
from training.synthesis.videos.emotion_prototypes import EMOTION_NAMES

FPS = 25.0
TIME_S = (np.arange(300) / FPS).astype(np.float32)


@pytest.mark.parametrize("rig", ["facs", "arkit"])
def test_resolve_conflicts_leaves_no_conflicting_units(rig):
    quiet = np.zeros(len(TIME_S), np.float32)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        segments = sample_segments(rng, 12.0, tuple(rng.permutation(EMOTION_NAMES)[:3]))
        tracks = {**emotion_aus(rng, segments, TIME_S, FPS), "blink": blink_track(rng, TIME_S)}
        for unit, track in non_emotional_aus(rng, segments, TIME_S, quiet).items():
            tracks[unit] = np.maximum(tracks.get(unit, 0), track)
        kept = resolve_conflicts(tracks, rig)
        on = {unit: track >= PRESENT_INTENSITY for unit, track in kept.items()}
        off = np.zeros(len(TIME_S), bool)

        def both(a, b, on=on, off=off):
            return (on.get(a, off) & on.get(b, off)).any()

        assert not any(both(a, b) for a in ("AU23", "AU24") for b in ("AU25", "AU26"))
        assert not both("AU12", "AU15")
        assert not (on.get("AU26", off) & ~on.get("AU25", off)).any()
        assert rig == "facs" or "AU23" not in kept
        for track in kept.values():
            assert track.min() >= 0
            assert track.max() <= 1


def test_blink_track_has_documented_rate():
    long_s = (np.arange(int(600 * FPS)) / FPS).astype(np.float32)
    closed = blink_track(np.random.default_rng(4), long_s) > 0.45
    blinks_per_minute = np.diff(closed.astype(int)).clip(0).sum() / 10
    assert 13 < blinks_per_minute < 26  # Bentivoglio et al.: 17 at rest, 26 in conversation


def test_non_emotional_aus_at_low_frame_rate_emits_no_warning() -> None:
    time_s = np.arange(6, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(40):
            rng = np.random.default_rng(seed)
            segments = sample_segments(rng, 6.0, ("anger", "happiness"))
            for track in non_emotional_aus(
                rng, segments, time_s, np.linspace(0, 1, 6, dtype=np.float32)
            ).values():
                assert np.isfinite(track).all()
