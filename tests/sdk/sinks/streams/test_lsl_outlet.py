"""Tests of Lab Streaming Layer with an inlet."""

from __future__ import annotations

import math
import os
import uuid

import numpy as np
import pylsl
import pytest

from faceaffect.sinks import COLUMN_NAMES, open_sink
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.streams.lsl_outlet import FrameClock
from faceaffect.sinks.streams.message import NUMBER_NAMES
from faceaffect.sinks.streams.stream_sink import StreamSink
from tests.sdk.sinks.synthetic_results import synthetic_result


def test_lsl_inlet_gets_rows_on_its_clock() -> None:
    name = f"faces-{uuid.uuid4().hex}"
    sink = open_sink(f"lsl://{name}?wait=10")
    found = pylsl.resolve_byprop("name", name, timeout=5)
    if not found:
        sink.close()
        pytest.skip("needs a network on which LSL finds streams")
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(timeout=5)
    sink.begin("clip.mp4")
    before_s = pylsl.local_clock()
    results = [synthetic_result(index, face_count=index % 3) for index in range(12)]
    for result in results:
        sink.write(*result)
    expected = [
        dict(zip(COLUMN_NAMES, row, strict=True)) for one in results for row in rows_for_frame(*one)
    ]
    samples, stamps = [], []
    while len(samples) < len(expected):
        sample, stamp_s = inlet.pull_sample(timeout=5)
        assert sample is not None
        samples.append(sample)
        stamps.append(stamp_s)
    correction_s = inlet.time_correction(timeout=5)
    info = inlet.info(timeout=5)
    sink.close()
    np.testing.assert_array_equal(samples, [[row[one] for one in NUMBER_NAMES] for row in expected])
    frame_s = [float(str(row["time_s"])) for row in expected]
    np.testing.assert_allclose(np.diff(stamps), np.diff(frame_s), atol=1e-9)
    assert 0 <= stamps[0] - before_s < 1
    assert abs(correction_s) < 0.1
    channel = info.desc().child("channels").child("channel")
    labels = []
    while not channel.empty():
        labels.append(channel.child_value("label"))
        channel = channel.next_sibling("channel")
    assert tuple(labels) == NUMBER_NAMES
    assert isinstance(sink, StreamSink)
    assert sink.notes == []


def test_lsl_without_inlet_counts_rows() -> None:
    with open_sink(f"lsl://faces-{os.getpid()}") as sink:
        sink.begin("clip.mp4")
        sink.write(*synthetic_result(1, face_count=2))
    assert isinstance(sink, StreamSink)
    assert sink.dropped_rows == 2


def test_frame_clock_of_live_source_finds_the_moment_of_capture() -> None:
    """Frames captured at 100 + t are ready up to 0.3 s later; the mapping ends 10 ms late."""
    clock = FrameClock()
    random = np.random.default_rng(0)
    delays = np.concatenate([[0.3], random.uniform(0.010, 0.120, 200)])
    delays[100] = 0.010
    error_s = [
        clock.to_local("0", i / 30, 100 + i / 30 + delay, is_live=True) - (100 + i / 30)
        for i, delay in enumerate(delays)
    ]
    assert math.isclose(error_s[0], 0.3)
    np.testing.assert_allclose(error_s[100:], 0.010, atol=1e-9)
    assert np.all(np.diff(error_s) <= 1e-9)


def test_frame_clock_of_files_keeps_their_times_and_starts_each_anew() -> None:
    clock = FrameClock()
    stamps = [
        clock.to_local("a.mp4", 2.0, 50.0, is_live=False),
        clock.to_local("a.mp4", 3.0, 50.1, is_live=False),  # faster than it was recorded
        clock.to_local("b.mp4", 0.0, 60.0, is_live=False),
    ]
    assert stamps == [50.0, 51.0, 60.0]
