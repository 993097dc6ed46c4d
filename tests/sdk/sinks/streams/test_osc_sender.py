"""Tests of OSC with a server of python-osc."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks import SinkError, open_sink
from faceaffect.sinks.columns import COLUMN_NAMES, rows_for_frame
from faceaffect.sinks.streams.stream_sink import StreamSink
from tests.sdk.sinks.synthetic_results import synthetic_result


def test_osc_server_gets_the_numbers_of_every_face() -> None:
    received: dict[str, tuple[object, ...]] = {}
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *values: received.update({address: values}))
    server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    result = synthetic_result(5, face_count=2)
    with open_sink(f"osc://127.0.0.1:{server.server_address[1]}/room") as sink:
        sink.begin("clip.mp4")
        sink.write(*synthetic_result(4, face_count=0))
        sink.write(*result)
    end_s = time.monotonic() + 5
    while len(received) < 2 * (7 + len(AU_NAMES) + len(EXPRESSION_NAMES)):
        assert time.monotonic() < end_s, received
        time.sleep(0.01)
    server.shutdown()
    thread.join()
    server.server_close()
    for cells in rows_for_frame(*result):
        row = dict(zip(COLUMN_NAMES, cells, strict=True))
        face = f"/room/{row['track_id']}"
        assert received[f"{face}/frame"] == (5, pytest.approx(0.2))
        assert received[f"{face}/au/AU12"] == (pytest.approx(row["AU12"]), row["AU12_on"])
        assert received[f"{face}/expression"] == (row["expression"],)
        assert received[f"{face}/expression/fear"] == (pytest.approx(row["fear"]),)
        assert received[f"{face}/valence"] == (pytest.approx(row["valence"]),)
        pose = [row[name] for name in ("yaw_deg", "pitch_deg", "roll_deg")]
        assert received[f"{face}/pose"] == tuple(pytest.approx(value) for value in pose)


def test_osc_without_server_counts_rows() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open_sink(f"osc://127.0.0.1:{port}") as sink:
        for index in range(40):
            sink.write(*synthetic_result(index))
            time.sleep(0.002)  # for the answer that nobody listens
    assert isinstance(sink, StreamSink)
    assert sink.dropped_rows > 10


def test_osc_host_without_address_is_refused() -> None:
    with pytest.raises(SinkError, match="expected the host of a receiver"):
        open_sink("osc://no.such.host.invalid:9000")
