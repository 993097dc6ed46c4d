"""Tests of the transfer of frame results."""

from dataclasses import fields

import numpy as np

from faceaffect.segments.frame_result import pack, unpack
from tests.sdk.segments.results import result


def test_unpack_returns_packed_frames():
    sent = [result(7, (1, 10.0), (2, 300.0)), result(8), result(9, (2, 301.0)), result(10)]
    for one, got in zip(sent, unpack(pack(sent)), strict=True):
        assert (got.index, got.time_s, got.seconds) == (one.index, one.time_s, one.seconds)
        for part, other in ((one.faces, got.faces), (one.affect, got.affect)):
            for field in fields(part):
                expected, actual = getattr(part, field.name), getattr(other, field.name)
                assert expected.dtype == actual.dtype, field.name
                np.testing.assert_array_equal(actual, expected, field.name)


def test_unpack_frames_without_faces():
    got = list(unpack(pack([result(0), result(1)])))
    assert [len(one.faces) for one in got] == [0, 0]
    assert got[0].affect.au_active.shape == (0, 12)


def test_frame_info_has_index_time_and_source():
    frame = result(50, (1, 0.0)).frame_info("clip.mp4")
    assert (frame.index, frame.time_s, frame.source) == (50, 2.0, "clip.mp4")
