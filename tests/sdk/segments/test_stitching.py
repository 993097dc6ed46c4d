"""Tests of frame_offset and TrackIdMapper."""

import numpy as np

from faceaffect.segments.stitching import TrackIdMapper, frame_offset
from tests.sdk.segments.results import result


def shifted(frames, by):
    """Return the frames under wrong numbers."""
    return [one.renumbered(one.index + by, one.faces.track_id) for one in frames]


def test_frame_offset_follows_from_times():
    previous, warmup = [result(i) for i in range(50, 100)], [result(i) for i in range(50, 103)]
    for wrong in (-3, 0, 2):
        assert frame_offset(previous, shifted(warmup, wrong)) == -wrong


def test_frame_offset_ambiguous_times_return_none():
    previous = [result(i) for i in range(50, 100)]
    assert (
        frame_offset(previous, [result(i) for i in range(90, 140)]) is None
    )  # only ten of fifty frames in common
    assert (
        frame_offset(previous, [result(i, fps=24.0) for i in range(50, 100)]) is None
    )  # other times
    assert frame_offset(previous, []) is None
    uneven = shifted([result(i) for i in range(50, 75)], 0) + shifted(
        [result(i) for i in range(75, 100)], 1
    )
    assert frame_offset(previous, uneven) is None


def test_track_id_mapper_keeps_ids_of_previous_segment():
    ids = TrackIdMapper(next_id=9)
    ids.start_segment(
        [result(i, (7, 500.0), (4, 10.0)) for i in range(10)],
        [result(i, (1, 12.0), (2, 505.0)) for i in range(10)],
    )
    np.testing.assert_array_equal(ids.map(np.array([1, 2, 3])), [4, 7, 9])
    np.testing.assert_array_equal(ids.map(np.array([3, 5])), [9, 10])


def test_track_id_mapper_matches_face_that_left_during_warmup():
    previous = [result(i, (3, 10.0)) for i in range(5)] + [result(i) for i in range(5, 10)]
    warmup = [result(i, (1, 11.0)) for i in range(5)] + [result(i) for i in range(5, 10)]
    ids = TrackIdMapper(next_id=4)
    ids.start_segment(previous, warmup)
    np.testing.assert_array_equal(ids.map(np.array([1])), [3])


def test_track_id_mapper_last_common_frame_decides():
    previous = [
        result(0, (3, 10.0), (4, 300.0)),
        result(1, (3, 300.0), (4, 10.0)),
    ]  # the faces swap positions
    warmup = [result(0, (1, 10.0)), result(1, (1, 10.0), (2, 290.0))]
    ids = TrackIdMapper(next_id=5)
    ids.start_segment(previous, warmup)
    np.testing.assert_array_equal(ids.map(np.array([1, 2])), [4, 3])


def test_track_id_mapper_redetected_face_keeps_one_id():
    previous = [result(0, (3, 10.0)), result(1, (3, 10.0))]
    ids = TrackIdMapper(next_id=4)
    ids.start_segment(previous, [result(0, (1, 10.0)), result(1, (2, 10.0))])
    np.testing.assert_array_equal(ids.map(np.array([2])), [3])
    np.testing.assert_array_equal(ids.map(np.array([1])), [4])  # a different face if it returns


def test_track_id_mapper_other_position_gets_new_id():
    ids = TrackIdMapper(next_id=2)
    ids.start_segment([result(0, (1, 10.0))], [result(0, (1, 90.0))])
    np.testing.assert_array_equal(ids.map(np.array([1])), [2])
    ids.start_segment([], [])
    np.testing.assert_array_equal(ids.map(np.array([1])), [3])
