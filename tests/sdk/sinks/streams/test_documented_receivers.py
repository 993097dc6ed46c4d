"""The receivers of docs/streaming.md get what the sinks send."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faceaffect.sinks import Sink, open_sink
from tests.sdk.sinks.streams.test_mqtt_publisher import MOSQUITTO, free_port
from tests.sdk.sinks.synthetic_results import synthetic_result

REQUIRES = ("zmq", "paho", "pylsl", "pythonosc")
PAGE = Path(__file__).resolve().parents[4] / "docs" / "streaming.md"
ZMQ, MQTT, LSL, OSC = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()


def first_line(sink: Sink, receiver: subprocess.Popen[str]) -> str:
    """Send rows until the receiver, which takes a moment to listen, prints one."""
    assert receiver.stdout is not None
    printed: list[str] = []
    reader = threading.Thread(target=lambda: printed.append(receiver.stdout.readline()))  # type: ignore[union-attr]
    reader.start()
    end_s = time.monotonic() + 20
    while reader.is_alive() and time.monotonic() < end_s:
        sink.write(*synthetic_result(7))
        reader.join(0.05)
    receiver.kill()
    reader.join()
    return printed[0].strip()


EXPECTED = synthetic_result(7)[2]


def test_documented_zmq_receiver_prints_rows() -> None:
    port = str(free_port())
    with running(ZMQ.replace("5556", port)) as receiver:
        with open_sink(f"zmq://127.0.0.1:{port}?wait=20") as sink:
            sink.begin("clip.mp4")
            sink.write(*synthetic_result(7))
        assert receiver.stdout is not None
        printed = receiver.stdout.readline().split()
    assert printed == ["1", EXPECTED.top_expression()[0], f"{EXPECTED.valence[0]:.4f}"]


@pytest.mark.skipif(MOSQUITTO is None, reason="needs the broker mosquitto")
def test_documented_mqtt_receiver_prints_rows(tmp_path: Path) -> None:
    port = free_port()
    broker = subprocess.Popen([str(MOSQUITTO), "-p", str(port)], stderr=subprocess.DEVNULL)
    code = MQTT.replace('hostname="127.0.0.1"', f'hostname="127.0.0.1", port={port}')
    while socket.socket().connect_ex(("127.0.0.1", port)):
        time.sleep(0.02)
    with running(code) as receiver, open_sink(f"mqtt://127.0.0.1:{port}/lab/faces") as sink:
        printed = first_line(sink, receiver).split()
    broker.terminate()
    broker.wait(10)
    assert printed == ["1", EXPECTED.top_expression()[0], f"{EXPECTED.valence[0]:.4f}"]


def test_documented_lsl_receiver_prints_samples() -> None:
    name = f"faces-{free_port()}"
    code = LSL.replace('"faceaffect"', f'"{name}"')
    with open_sink(f"lsl://{name}?wait=20") as sink, running(code) as receiver:
        sink.begin("clip.mp4")
        sink.write(*synthetic_result(7))
        assert receiver.stdout is not None
        printed = receiver.stdout.readline().split()
    assert printed[1:] == [
        "1.0",
        f"{EXPECTED.au_probability[0, 6]:.4f}",
        f"{EXPECTED.valence[0]:.4f}",
    ]


def test_documented_osc_receiver_prints_messages() -> None:
    port = str(free_port())
    code = OSC.replace("9000", port)
    with running(code) as receiver, open_sink(f"osc://127.0.0.1:{port}") as sink:
        printed = first_line(sink, receiver).split()
    assert printed[0] == "/faceaffect/1/au/AU12"
    assert float(printed[1]) == pytest.approx(EXPECTED.au_probability[0, 6], abs=1e-4)
