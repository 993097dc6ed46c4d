"""Tests of plan_segments."""

import math
from itertools import pairwise

import pytest

from faceaffect.segments.plan import MAX_SEGMENT_FRAMES, WARMUP_S, plan_segments
from faceaffect.tracking.tracker_config import TrackerConfig


@pytest.mark.parametrize("first", [0, 137])
@pytest.mark.parametrize("count", [400, 1500, 9001, 250_000])
@pytest.mark.parametrize("fps", [12.5, 29.97, 60.0])
@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_plan_segments_cover_video_once_at_equal_cost(first, count, fps, jobs):
    segments = plan_segments(first, count, fps, jobs)
    assert segments[0].begin == first
    assert segments[0].warmup_start == max(0, first - math.ceil(WARMUP_S * fps))
    assert segments[-1].end is None
    for before, after in pairwise(segments):
        assert before.end == after.begin
        assert before.warmup_start <= after.warmup_start < after.begin
        assert after.warmup_frames / fps >= WARMUP_S
    if jobs > 1 and len(segments) > 1:
        costs = [(one.end or count) - one.warmup_start for one in segments]
        assert max(costs) - min(costs) <= 2
        assert max(costs) <= MAX_SEGMENT_FRAMES + segments[1].warmup_frames


def test_plan_segments_short_video_is_not_split():
    assert len(plan_segments(0, 300, 30.0, 8)) == 1
    assert len(plan_segments(0, 400, 30.0, 8)) == 2
    assert len(plan_segments(9000, 9000, 30.0, 4)) == 1


def test_plan_segments_long_video_has_more_segments_than_jobs():
    segments = plan_segments(0, 216_000, 30.0, 4)
    assert len(segments) % 4 == 0
    assert len(segments) > 4


def test_warmup_is_at_least_longest_tracker_memory():
    config = TrackerConfig()
    assert (
        max(
            config.lost_track_timeout_s,
            config.max_detect_interval_s,
            config.full_resolution_interval_s,
            config.max_idle_interval_s,
        )
        <= WARMUP_S
    )
