"""Tests of MQTT with the broker Mosquitto."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from faceaffect.sinks import open_sink
from faceaffect.sinks.streams.stream_sink import StreamSink
from tests.sdk.sinks.synthetic_results import frame_column, write_frames

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="needs the broker mosquitto")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """Port of a broker on loopback that asks for the password "secret" of "ann"."""
    port = free_port()
    passwords = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "ann", "secret"], check=True, timeout=10
    )
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\npassword_file {passwords}\nallow_anonymous false\nuser root\n"
    )
    process = subprocess.Popen([str(MOSQUITTO), "-c", str(config)], stderr=subprocess.DEVNULL)
    end_s = time.monotonic() + 10
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    yield port
    process.terminate()
    process.wait(10)


@needs_broker
def test_mqtt_subscriber_gets_every_row_as_json(broker: int) -> None:
    rows: list[dict[str, object]] = []
    subscribed, is_complete = threading.Event(), threading.Event()
    frames = range(30)

    def on_message(_client: object, _data: object, message: object) -> None:
        rows.append(json.loads(message.payload))  # type: ignore[attr-defined]
        if len(rows) == len(frame_column(frames)):
            is_complete.set()

    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("ann", "secret")
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker)
    client.subscribe("lab/faces")
    client.loop_start()
    assert subscribed.wait(5)
    with open_sink(f"mqtt://ann:secret@127.0.0.1:{broker}/lab/faces?wait=5") as sink:
        sink.begin("clip.mp4")
        write_frames(sink, frames)
    assert is_complete.wait(5)
    client.disconnect()
    client.loop_stop()
    assert [row["frame"] for row in rows] == frame_column(frames)
    assert isinstance(sink, StreamSink)
    assert sink.notes == []


@needs_broker
def test_mqtt_wrong_password_is_no_receiver(broker: int) -> None:
    with open_sink(f"mqtt://ann:wrong@127.0.0.1:{broker}/faces?wait=0.3") as sink:
        sink.begin("clip.mp4")
        write_frames(sink, range(6))
    assert isinstance(sink, StreamSink)
    assert (sink.sent_rows, sink.dropped_rows) == (0, 6)


def test_mqtt_without_broker_holds_nothing_up() -> None:
    start_s = time.perf_counter()
    with open_sink(f"mqtt://127.0.0.1:{free_port()}/faces") as sink:
        sink.begin("clip.mp4")
        write_frames(sink, range(30))
    assert time.perf_counter() - start_s < 2
    assert isinstance(sink, StreamSink)
    assert sink.dropped_rows == 30
