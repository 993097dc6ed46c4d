"""Tests of video plans of all sizes: splits, tasks, rigs, irregularities."""

from collections import Counter
from itertools import chain

import pytest

from training.synthesis.au_targets import AU_TARGETS, RIG_NAMES
from training.synthesis.face_renderer import VALIDATION_STRIDE
from training.synthesis.videos.emotion_prototypes import COMPOUNDS, EMOTION_NAMES, PROTOTYPES
from training.synthesis.videos.plan import (
    MISMATCHED_FRACTION,
    SIZES,
    TASK_COMBINATIONS,
    plan_videos,
)

CASES = [("tiny", 1), ("tiny", 7), ("small", 1), ("small", 2), ("large", 1)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def plan(request):
    return plan_videos(*request.param)


def people_of(videos):
    return list(chain.from_iterable(video.people for video in videos))


def splits(videos):
    return [
        [video for video in videos if video.is_validation == is_validation]
        for is_validation in (False, True)
    ]


def test_plan_videos_has_documented_number_of_tracks():
    assert SIZES["small"].tracks == 40
    for name, size in SIZES.items():
        assert len(people_of(plan_videos(name, 3))) == size.tracks


def test_plan_videos_splits_by_identity(plan):
    train, validation = ({person.identity for person in people_of(split)} for split in splits(plan))
    assert train
    assert validation
    assert not train & validation
    assert all(number % VALIDATION_STRIDE for number in train)  # same rule as for images
    assert not any(number % VALIDATION_STRIDE for number in validation)


def test_plan_videos_pairs_have_distinct_identities_and_suffixes(plan):
    pairs = [video for video in plan if len(video.people) == 2]
    assert pairs
    for video in pairs:
        left, right = video.people
        assert left.identity != right.identity
        assert (left.name, right.name) == (f"{video.name}_left", f"{video.name}_right")


def test_plan_videos_contains_all_task_combinations(plan):
    combinations = Counter(person.tasks for person in people_of(plan))
    assert set(combinations) == set(TASK_COMBINATIONS)
    assert len(combinations) == 7
    for split in splits(plan):
        assert {task for person in people_of(split) for task in person.tasks} == {
            "AU",
            "EXPR",
            "VA",
        }


def test_plan_videos_uses_both_rigs_in_both_splits(plan):
    for split in splits(plan):
        assert {person.rig for person in people_of(split)} == set(RIG_NAMES)


def test_plan_videos_has_documented_mismatched_fraction(plan):
    for split in splits(plan):
        assert sum(video.is_mismatched for video in split) == round(
            MISMATCHED_FRACTION * len(split)
        )
    assert sum(video.is_mismatched for video in plan) > 0


def test_plan_videos_contains_all_irregularities(plan):
    people = people_of(plan)
    assert {-1, 0, 1} == set(chain.from_iterable(person.row_difference for person in people))
    assert {True, False} == set(chain.from_iterable(person.has_unlabeled for person in people))
    assert any(video.audio_start_s for video in plan)
    assert any(video.is_occluded for video in plan)
    assert any(video.has_stray_file for video in plan)
    assert len({video.quirk for video in plan}) == 4


def test_plan_videos_has_unique_names_and_valid_durations(plan):
    assert len({video.name for video in plan}) == len(plan)
    size = next(size for size in SIZES.values() if size.tracks == len(people_of(plan)))
    for video in plan:
        low, high = size.duration_s
        assert low - 0.05 <= video.frame_count / video.fps <= high + 0.05
        assert not video.size_wh[0] % 2
        assert not video.is_avi or video.audio_start_s == 0


def test_plan_videos_is_deterministic_per_seed():
    assert plan_videos("small", 5) == plan_videos("small", 5)
    assert plan_videos("small", 5) != plan_videos("small", 6)


def test_plan_videos_of_unknown_size_raises():
    with pytest.raises(
        ValueError, match="expected size to be one of tiny, small, people, crowd, large, got 'huge'"
    ):
        plan_videos("huge", 1)


def test_prototypes_use_units_of_both_rigs():
    assert set(PROTOTYPES) == set(EMOTION_NAMES)
    for variants in PROTOTYPES.values():
        for units in variants:
            assert units.keys() <= AU_TARGETS["facs"].keys() & AU_TARGETS["arkit"].keys()
            assert 0.9 <= max(units.values()) <= 1 or "AU9" in units
    assert set(chain.from_iterable(COMPOUNDS)) == set(EMOTION_NAMES)
