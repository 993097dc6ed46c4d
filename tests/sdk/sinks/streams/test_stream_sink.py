"""Tests of the sink of streams: it never waits, and counts what was dropped."""

from __future__ import annotations

import importlib.util
import json
import threading
import time

import pytest

from faceaffect.sinks import SinkError, SinkOptions, open_sink
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_formats import JsonlFormat
from faceaffect.sinks.streams.address import StreamAddress
from faceaffect.sinks.streams.message import StreamMessage
from faceaffect.sinks.streams.stream_sink import StreamSink
from tests.sdk.sinks.synthetic_results import synthetic_result

ADDRESS = StreamAddress("zmq://*:1", "zmq", "*", 1)


class ListTransport:
    """Records messages; waits for `gate` before each, and fails where `error` is set."""

    def __init__(self, gate: threading.Event | None = None, error: Exception | None = None) -> None:
        self.messages: list[StreamMessage] = []
        self.is_closed = False
        self.waits: list[float] = []
        self._gate, self._error = gate, error

    def wait_for_receiver(self, timeout_s: float) -> None:
        self.waits.append(timeout_s)

    def send(self, message: StreamMessage) -> bool:
        if self._gate is not None:
            assert self._gate.wait(10)
        if self._error is not None:
            raise self._error
        self.messages.append(message)
        return True

    def close(self) -> int:
        self.is_closed = True
        return 0


def test_stream_sink_sends_the_lines_of_a_jsonl_file() -> None:
    transport = ListTransport()
    with StreamSink(ADDRESS, transport, SinkOptions()) as sink:
        sink.begin("clip.mp4")
        for index in range(6):
            sink.write(*synthetic_result(index, face_count=index % 3))
    expected = [
        JsonlFormat().line(row)
        for index in range(6)
        for row in rows_for_frame(*synthetic_result(index, face_count=index % 3))
    ]
    assert [message.json.decode() + "\n" for message in transport.messages] == expected
    assert [message.cells for message in transport.messages] == list(map(json.loads, expected))
    assert transport.is_closed
    assert (sink.sent_rows, sink.dropped_rows, sink.notes) == (6, 0, [])


def test_stream_sink_with_every_frame_sends_frames_without_a_face() -> None:
    transport = ListTransport()
    with StreamSink(ADDRESS, transport, SinkOptions(every_frame=True)) as sink:
        sink.write(*synthetic_result(7, face_count=0))
    assert [message.cells["frame"] for message in transport.messages] == [7]
    assert transport.messages[0].cells["track_id"] is None


def test_stream_sink_of_stuck_receiver_never_waits_and_drops_the_oldest() -> None:
    gate = threading.Event()
    transport = ListTransport(gate)
    sink = StreamSink(ADDRESS, transport, SinkOptions(), max_queued_frames=4)
    results = [synthetic_result(index) for index in range(50)]
    sink.write(*results[0])
    while sink._queue:  # the thread takes the first frame, and is stuck with it
        time.sleep(0.001)
    start_s = time.perf_counter()
    for result in results[1:]:
        sink.write(*result)
    assert time.perf_counter() - start_s < 0.5
    gate.set()
    sink.close()
    assert [message.cells["frame"] for message in transport.messages] == [0, 46, 47, 48, 49]
    assert (sink.sent_rows, sink.dropped_rows) == (5, 45)
    assert sink.notes == [
        "zmq://*:1: 45 of 50 rows did not arrive (no receiver, or one that is too slow)"
    ]


def test_stream_sink_close_of_stuck_receiver_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceaffect.sinks.streams.stream_sink._CLOSE_TIMEOUT_S", 0.1)
    gate = threading.Event()
    sink = StreamSink(ADDRESS, ListTransport(gate), SinkOptions())
    for index in range(3):
        sink.write(*synthetic_result(index))
    while len(sink._queue) > 2:
        time.sleep(0.001)
    sink.close()
    assert sink.dropped_rows == 2
    gate.set()


def test_stream_sink_of_failing_receiver_counts_and_tells() -> None:
    with StreamSink(ADDRESS, ListTransport(error=OSError("no route")), SinkOptions()) as sink:
        for index in range(3):
            sink.write(*synthetic_result(index, face_count=2))
    assert sink.notes == ["zmq://*:1: 6 of 6 rows did not arrive (no route)"]


def test_stream_sink_waits_once_and_only_if_asked() -> None:
    transport = ListTransport()
    address = StreamAddress("zmq://*:1?wait=3", "zmq", "*", 1, wait_s=3.0)
    with StreamSink(address, transport, SinkOptions()) as sink:
        sink.begin("a.mp4")
        sink.begin("b.mp4")
    assert transport.waits == [3.0]


@pytest.mark.parametrize(
    ("address", "extra"),
    [
        ("zmq://*:5556", "zmq"),
        ("mqtt://localhost/faces", "mqtt"),
        ("lsl://faces", "lsl"),
        ("osc://127.0.0.1:9000", "osc"),
    ],
)
def test_open_sink_without_the_extra_names_it(
    address: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        SinkError, match=rf"of the extra {extra}, got none; run pip install .*\[{extra}\]"
    ):
        open_sink(address)
