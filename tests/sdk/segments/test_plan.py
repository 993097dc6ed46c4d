"""Stretches cover a video once, begin early enough, and are worth a process each."""

from itertools import pairwise

import pytest

from faceaffect.segments.plan import LONGEST_FRAMES, WARM_S, plan_segments
from faceaffect.tracking.tracker import TrackerConfig


@pytest.mark.parametrize("first", [0, 137])
@pytest.mark.parametrize("count", [400, 1500, 9001, 250_000])
@pytest.mark.parametrize("fps", [12.5, 29.97, 60.0])
@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_stretches_cover_the_video_once(first, count, fps, jobs):
    stretches = plan_segments(first, count, fps, jobs)
    assert stretches[0].begin == stretches[0].warmup_start == first
    assert stretches[-1].end is None
    for before, after in pairwise(stretches):
        assert before.end == after.begin
        assert first <= after.warmup_start < after.begin
        assert after.warm_frames / fps >= WARM_S
    if jobs > 1 and len(stretches) > 1:
        costs = [(one.end or count) - one.warmup_start for one in stretches]
        assert max(costs) - min(costs) <= 2
        assert max(costs) <= LONGEST_FRAMES + stretches[1].warm_frames


def test_a_short_video_stays_whole():
    assert len(plan_segments(0, 300, 30.0, 8)) == 1
    assert len(plan_segments(0, 400, 30.0, 8)) == 2
    assert len(plan_segments(9000, 9000, 30.0, 4)) == 1


def test_long_videos_have_more_stretches_than_processes():
    stretches = plan_segments(0, 216_000, 30.0, 4)
    assert len(stretches) % 4 == 0
    assert len(stretches) > 4


def test_early_frames_outlast_what_is_remembered():
    settings = TrackerConfig()
    assert (
        max(
            settings.lost_track_timeout_s,
            settings.max_detect_interval_s,
            settings.full_resolution_interval_s,
            settings.max_idle_interval_s,
        )
        <= WARM_S
    )
