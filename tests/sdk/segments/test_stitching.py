"""Frames and faces that two stretches have in common are recognized; what they do not share is not
made up.
"""

import numpy as np

from faceaffect.segments.stitching import TrackIdMapper, frame_offset
from tests.sdk.segments.results import result


def moved(frames, by):
    """The same frames, counted wrongly."""
    return [one.at(one.index + by, one.faces.track_id) for one in frames]


def test_times_tell_the_true_numbers():
    before, early = [result(i) for i in range(50, 100)], [result(i) for i in range(50, 103)]
    for wrong in (-3, 0, 2):
        assert frame_offset(before, moved(early, wrong)) == -wrong


def test_times_that_do_not_tell():
    before = [result(i) for i in range(50, 100)]
    assert (
        frame_offset(before, [result(i) for i in range(90, 140)]) is None
    )  # ten of fifty in common
    assert (
        frame_offset(before, [result(i, fps=24.0) for i in range(50, 100)]) is None
    )  # other times
    assert frame_offset(before, []) is None
    uneven = moved([result(i) for i in range(50, 75)], 0) + moved(
        [result(i) for i in range(75, 100)], 1
    )
    assert frame_offset(before, uneven) is None


def test_faces_keep_the_ids_that_they_had():
    ids = TrackIdMapper(next_id=9)
    ids.begin(
        [result(i, (7, 500.0), (4, 10.0)) for i in range(10)],
        [result(i, (1, 12.0), (2, 505.0)) for i in range(10)],
    )
    np.testing.assert_array_equal(ids.of(np.array([1, 2, 3])), [4, 7, 9])
    np.testing.assert_array_equal(ids.of(np.array([3, 5])), [9, 10])


def test_a_face_that_had_gone_before_the_seam_is_known_again():
    before = [result(i, (3, 10.0)) for i in range(5)] + [result(i) for i in range(5, 10)]
    early = [result(i, (1, 11.0)) for i in range(5)] + [result(i) for i in range(5, 10)]
    ids = TrackIdMapper(next_id=4)
    ids.begin(before, early)
    np.testing.assert_array_equal(ids.of(np.array([1])), [3])


def test_the_latest_common_frame_decides_and_no_id_is_given_twice():
    before = [
        result(0, (3, 10.0), (4, 300.0)),
        result(1, (3, 300.0), (4, 10.0)),
    ]  # they change places
    early = [result(0, (1, 10.0)), result(1, (1, 10.0), (2, 290.0))]
    ids = TrackIdMapper(next_id=5)
    ids.begin(before, early)
    np.testing.assert_array_equal(ids.of(np.array([1, 2])), [4, 3])


def test_a_face_that_was_lost_and_found_in_the_early_frames_has_one_id():
    before = [result(0, (3, 10.0)), result(1, (3, 10.0))]
    ids = TrackIdMapper(next_id=4)
    ids.begin(before, [result(0, (1, 10.0)), result(1, (2, 10.0))])
    np.testing.assert_array_equal(ids.of(np.array([2])), [3])
    np.testing.assert_array_equal(
        ids.of(np.array([1])), [4]
    )  # it is somebody else, wherever it comes back


def test_faces_elsewhere_are_new():
    ids = TrackIdMapper(next_id=2)
    ids.begin([result(0, (1, 10.0))], [result(0, (1, 90.0))])
    np.testing.assert_array_equal(ids.of(np.array([1])), [2])
    ids.begin([], [])
    np.testing.assert_array_equal(ids.of(np.array([1])), [3])
