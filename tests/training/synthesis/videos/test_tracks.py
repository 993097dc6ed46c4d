"""Tracks over time without a mesh: shapes of curves, labels, valence and arousal, mouths, crops and
annotation files.
"""

import warnings
from itertools import pairwise

import numpy as np
import pytest

from faceaffect.geometry import (
    CANONICAL_KEYPOINTS_XY,
    invert_transforms,
    keypoints_from_landmarks,
    transform_points,
)
from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.emotion_to_va import COORDINATES
from training.synthesis.expression_sampler import PRESENT_INTENSITY
from training.synthesis.videos import affect_track
from training.synthesis.videos.affect_track import (
    sample_segments,
    make_affect_track,
    simulate_valence_arousal,
    label_expressions,
)
from training.synthesis.videos.annotations import (
    UnlabeledSpan,
    sample_unlabeled_spans,
    task_rows,
    write_annotation,
)
from training.synthesis.videos.au_tracks import (
    blink_track,
    emotion_aus,
    resolve_conflicts,
    non_emotional_aus,
)
from training.synthesis.videos.crops import sample_missed_frames, jittered_transforms
from training.synthesis.videos.emotion_prototypes import EMOTION_NAMES
from training.synthesis.videos.head_tracks import sample_head_tracks
from training.synthesis.videos.motion_curves import onset_apex_offset, smooth_noise
from training.synthesis.videos.lip_sync import speech_aus, voice_brightness, voice_energy
from training.synthesis.videos.video_file import AUDIO_RATE_HZ

FPS = 25.0
TIME_S = (np.arange(300) / FPS).astype(np.float32)


def test_envelope_rises_holds_and_falls():
    track = onset_apex_offset(TIME_S, 2.0, 6.0, 0.5, 1.0)
    assert track[TIME_S <= 2.0].max() == 0
    assert track[(TIME_S >= 2.5) & (TIME_S <= 5.0)].min() == 1
    assert track[TIME_S >= 6.0].max() == 0
    assert np.all(np.diff(track[TIME_S <= 3]) >= 0)


def test_noise_has_unit_variance_and_is_smooth():
    track = smooth_noise(np.random.default_rng(1), 40_000, FPS, 0.4)
    assert track.std() == pytest.approx(1, abs=0.07)
    assert np.abs(np.diff(track)).max() < 0.5


@pytest.mark.parametrize("duration_s", [2.8, 5.0, 20.0])
def test_stretches_fill_the_video(duration_s):
    for seed in range(30):
        segments = sample_segments(np.random.default_rng(seed), duration_s, ("anger", "happiness"))
        assert segments[0].start_s == 0
        assert segments[-1].end_s == duration_s
        for before, after in pairwise(segments):
            assert before.end_s == after.start_s
        assert any(segment.shares for segment in segments)
        assert all(
            abs(sum(share for _, share in s.shares) - 1) < 1e-9 for s in segments if s.shares
        )


def test_labels_of_strengths():
    def row(**shares):
        return [1 - sum(shares.values()), *(shares.get(name, 0.0) for name in EXPRESSION_NAMES[1:])]

    strength = np.array(
        [row(), row(fear=0.2), row(fear=0.5), row(fear=0.5, anger=0.2), row(fear=0.4, anger=0.4)],
        np.float32,
    )
    fear = EXPRESSION_NAMES.index("fear")
    assert label_expressions(strength).tolist() == [0, 0, fear, fear, -1]


def test_circumplex_is_followed_with_inertia(monkeypatch):
    """Without noise and home base a step is answered by 1 - exp(-t / tau) on the way to the
    emotion's coordinates.
    """
    monkeypatch.setattr(affect_track, "VA_NOISE", 0.0)
    monkeypatch.setattr(affect_track, "HOME_BASE_SD", 0.0)
    strength = np.zeros((len(TIME_S), 7), np.float32)
    strength[:, 0] = 1
    strength[100:, 0], strength[100:, EXPRESSION_NAMES.index("sadness")] = 0.2, 0.8
    va = simulate_valence_arousal(np.random.default_rng(0), strength, TIME_S)
    assert np.abs(va[:100]).max() == 0
    since_s = (np.arange(200) + 1) / FPS
    wanted = (
        0.8
        * (1 - np.exp(-since_s / affect_track.VA_TAU_S))[:, None]
        * np.array(COORDINATES["sadness"])
    )
    np.testing.assert_allclose(va[100:], wanted, atol=1e-5)


def test_truth_of_a_video_is_consistent():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        track = make_affect_track(rng, sample_segments(rng, 12.0, ("disgust", "surprise")), TIME_S)
        np.testing.assert_allclose(track.strength.sum(axis=1), 1, atol=1e-5)
        assert track.strength.min() > -1e-6
        assert np.abs(np.diff(track.va, axis=0)).max() < 0.12  # no jumps
        assert np.abs(np.diff(track.strength, axis=0)).max() < 0.2


@pytest.mark.parametrize("rig", ["facs", "arkit"])
def test_resolved_units_hold_no_contradiction(rig):
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


def test_blinks_are_as_often_as_stated():
    long_s = (np.arange(int(600 * FPS)) / FPS).astype(np.float32)
    closed = blink_track(np.random.default_rng(4), long_s) > 0.45
    a_minute = np.diff(closed.astype(int)).clip(0).sum() / 10
    assert 13 < a_minute < 26  # of Bentivoglio et al.: 17 at rest, 26 in talk


def speech(rng):
    """A tone that swells and falls, with pauses, at AUDIO_RATE_HZ, and its loudness at the frame
    times.
    """
    seconds = np.arange(len(TIME_S) * AUDIO_RATE_HZ // int(FPS)) / AUDIO_RATE_HZ
    loudness = np.clip(np.sin(2 * np.pi * 1.7 * seconds), 0, 1) * (seconds < 8)
    return (0.3 * loudness * rng.normal(size=len(seconds))).astype(np.float32), np.interp(
        TIME_S, seconds, loudness
    )


def test_mouth_follows_the_voice():
    rng = np.random.default_rng(2)
    samples, loudness = speech(rng)
    energy = voice_energy(samples, TIME_S)
    units = speech_aus(rng, energy, voice_brightness(samples, TIME_S), FPS)
    assert np.corrcoef(units["AU26"], loudness)[0, 1] > 0.85
    assert units["AU25"][TIME_S > 8.3].max() < 0.02


def test_silence_keeps_the_mouth_shut():
    silent = np.zeros(len(TIME_S) * AUDIO_RATE_HZ // int(FPS), np.float32)
    assert voice_energy(silent, TIME_S).max() == 0
    assert voice_brightness(silent, TIME_S).max() == 0


def test_heads_move_smoothly():
    strength = np.tile(np.eye(7, dtype=np.float32)[0], (len(TIME_S), 1))
    for seed in range(20):
        head = sample_head_tracks(
            np.random.default_rng(seed), TIME_S, FPS, strength, np.zeros(len(TIME_S), np.float32)
        )
        step = np.abs(np.diff(head.pose_deg, axis=0))
        assert step.max() < 10  # 250 degrees a second, a quick turn
        assert np.abs(np.diff(head.pose_deg, 2, axis=0)).max() < 5
        assert head.pose_deg.std(axis=0).min() > 0.3
        assert np.abs(head.pose_deg).max(axis=0)[0] <= 45


def test_crops_have_an_error_of_the_stated_size():
    rng = np.random.default_rng(5)
    landmarks = np.zeros((2000, 68, 2), np.float32)
    landmarks[:, 36:42], landmarks[:, 42:48] = (100, 90), (160, 92)
    landmarks[:, 30], landmarks[:, 48], landmarks[:, 54] = (130, 125), (105, 160), (154, 161)
    transforms = jittered_transforms(rng, landmarks, FPS)
    inside = transform_points(invert_transforms(transforms), keypoints_from_landmarks(landmarks))
    still = inside - inside.mean(axis=0)
    spread_px = np.sqrt((still**2).sum(axis=2).mean())
    assert 0.2 < spread_px < 1.6  # of 112: visible, and far from losing the face
    assert np.abs(inside.mean(axis=0) - CANONICAL_KEYPOINTS_XY).max() < 4


def test_misses_leave_most_of_a_face():
    pose = np.zeros((250, 3), np.float32)
    share = [
        sample_missed_frames(np.random.default_rng(k), pose, np.zeros(250, bool), FPS).mean()
        for k in range(60)
    ]
    assert min(share) > 0
    assert np.mean(share) < 0.08
    pose[100:150, 0] = 44
    turned = [
        sample_missed_frames(np.random.default_rng(k), pose, np.zeros(250, bool), FPS)[100:150].mean()
        for k in range(60)
    ]
    assert np.mean(turned) > 0.5


def test_rows_mark_what_was_not_annotated():
    present, expression = np.zeros((6, 12), bool), np.array([0, 1, -1, 3, 4, 5], np.int8)
    present[:, 2] = True
    va = np.full((6, 2), 0.25, np.float32)
    partial = [UnlabeledSpan(1, 3, None), UnlabeledSpan(4, 5, 2)]
    rows = task_rows("AU", present, expression, va, partial)
    assert rows[0] == ["0", "0", "1"] + ["0"] * 9
    assert rows[1] == rows[2] == ["-1"] * 12
    assert rows[4] == ["0", "0", "-1"] + ["0"] * 9
    assert task_rows("EXPR", present, expression, va, [UnlabeledSpan(3, 4, None)]) == [
        ["0"], ["1"], ["-1"], ["-1"], ["4"], ["5"],
    ]  # fmt: skip
    assert task_rows("VA", present, expression, va, [UnlabeledSpan(0, 1, None), UnlabeledSpan(1, 2, 1)])[:3] == [
        ["-5", "-5"], ["0.250", "-5"], ["0.250", "0.250"],
    ]  # fmt: skip


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_invalid_stretches_lie_inside(task):
    for seed in range(50):
        for segment in sample_unlabeled_spans(np.random.default_rng(seed), task, 34, 12.0):
            assert 0 <= segment.start < segment.end <= 34
            assert task != "EXPR" or segment.column is None


@pytest.mark.parametrize(
    ("difference", "quirk", "wanted"),
    [
        (0, "plain", "valence,arousal\n0.1,0.2\n0.3,0.4\n"),
        (-1, "no newline at the end", "valence,arousal\n0.1,0.2"),
        (1, "trailing commas", "valence,arousal\n0.1,0.2,\n0.3,0.4,\n0.3,0.4,\n"),
        (0, "trailing spaces", "valence,arousal\n0.1,0.2 \n0.3,0.4 \n"),
    ],
)
def test_annotation_files(tmp_path, difference, quirk, wanted):
    path = tmp_path / "VA_Set" / "Train_Set" / "7.txt"
    write_annotation(path, "VA", [["0.1", "0.2"], ["0.3", "0.4"]], difference, quirk)
    assert path.read_bytes().decode() == wanted


def test_a_slow_film_has_stray_units_without_a_warning() -> None:
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
