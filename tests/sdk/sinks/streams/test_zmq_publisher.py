"""Tests of ZeroMQ with subscribers."""

from __future__ import annotations

import json
import socket
import time

import pytest
import zmq

from faceaffect.sinks import SinkError, open_sink
from faceaffect.sinks.streams.address import parse_address
from faceaffect.sinks.streams.message import StreamMessage
from faceaffect.sinks.streams.zmq_publisher import ZmqPublisher
from tests.sdk.sinks.synthetic_results import frame_column, write_frames


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_zmq_subscriber_gets_every_row_as_json() -> None:
    port = free_port()
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.RCVTIMEO, 5000)
        subscriber.subscribe("")
        subscriber.connect(f"tcp://127.0.0.1:{port}")
        with open_sink(f"zmq://127.0.0.1:{port}?wait=5") as sink:
            sink.begin("clip.mp4")
            write_frames(sink, range(30))
        rows = [json.loads(subscriber.recv()) for _ in frame_column(range(30))]
    assert [row["frame"] for row in rows] == frame_column(range(30))
    assert set(rows[0]) >= {"source", "time_s", "track_id", "AU12", "AU12_on", "valence"}


def test_zmq_port_that_is_taken_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SinkError, match="a free port, got Address already in use"):
            open_sink(f"zmq://127.0.0.1:{port}")


def test_zmq_slow_subscriber_is_counted_and_the_other_gets_all() -> None:
    port = free_port()
    publisher = ZmqPublisher(parse_address(f"zmq://127.0.0.1:{port}"))
    message = StreamMessage({}, b"x" * 20_000, 0.0, False)
    with zmq.Context() as context, context.socket(zmq.SUB) as slow, context.socket(zmq.SUB) as fast:
        for one, prefix in ((slow, b"x"), (fast, b"")):
            one.setsockopt(zmq.RCVHWM, 1)
            one.setsockopt(zmq.RCVTIMEO, 5000)
            one.subscribe(prefix)
            one.connect(f"tcp://127.0.0.1:{port}")
            publisher.wait_for_receiver(5)
            assert publisher._socket.recv() == b"\1" + prefix  # the subscription
        sent, received = [], 0
        start_s = time.perf_counter()
        for _ in range(3000):
            sent.append(publisher.send(message))
            received += fast.recv() == message.json
        assert time.perf_counter() - start_s < 10
    publisher.close()
    assert received == 3000
    assert sent[:1000] == [True] * 1000
    assert not all(sent)
