"""Frames over the WebSocket: the numbers of the pipeline, drops named, bad messages survived."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import faceaffect as fa
from faceaffect.live.client import LiveClient
from faceaffect.live.results import face_results
from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import Limits, LiveError, LiveSettings
from faceaffect.live.stream_messages import pack_frame
from faceaffect.sinks.columns import COLUMN_NAMES
from tests.sdk.live.live_server import serve

REQUIRES = ("fastapi", "uvicorn", "prometheus_client")


@pytest.fixture(scope="module")
def frames(demo: Path) -> list[np.ndarray]:
    with fa.open_source(demo) as source:
        return [fa.to_bgr(frame) for frame, _ in zip(source, range(61), strict=False)]


@pytest.fixture
def client(server: LiveServer) -> Iterator[LiveClient]:
    with LiveClient(server.address.rstrip("/")) as opened:
        yield opened


def socket_of(server: LiveServer, query: str = "") -> str:
    return f"{server.address.replace('http', 'ws')}v1/stream{query}"


def test_results_are_those_of_the_pipeline(client: LiveClient, frames: list[np.ndarray]) -> None:
    shown = frames[:58:3]
    with fa.open_pipeline() as pipeline, client.stream() as stream:
        assert stream.hello["policy"] == "all"
        for number, image in enumerate(shown):
            time_s = number / 10
            result = stream.analyze(image, time_s=time_s)
            frame = fa.Frame(image, time_s=time_s)
            assert result["faces"] == face_results(*pipeline.analyze(frame))
            assert (result["id"], result["width"], result["height"]) == (number, 640, 360)
    assert result["faces"][0]["expression"] == "happiness"


def test_rows_are_those_of_analyze(client: LiveClient, frames: list[np.ndarray]) -> None:
    import pandas

    with client.stream() as stream:
        stream.command("rows")
        header = stream.receive()["header"]
        rows = [stream.analyze(image)["rows"] for image in frames[:3]]  # type: ignore[typeddict-item]
    table = pandas.read_csv(io.StringIO(header + "".join(rows)))
    assert tuple(table.columns) == COLUMN_NAMES
    assert table["frame"].tolist() == [0, 1, 2]


def test_a_flood_drops_frames_and_names_them(server: LiveServer, frames: list[np.ndarray]) -> None:
    """What was sent is either answered or named as dropped, and the newest frame is answered."""
    jpeg = cv2.imencode(".jpg", cv2.resize(frames[0], None, fx=3, fy=3))[1].tobytes()
    answered, dropped = [], []
    with connect(socket_of(server), compression=None) as socket:
        assert json.loads(socket.recv(5))["policy"] == "newest"
        for number in range(60):
            socket.send(pack_frame({"id": number}, jpeg))
        while not answered or answered[-1] != 59:
            result = json.loads(socket.recv(20))
            answered.append(result["id"])
            dropped += result.get("dropped_ids", [])
    assert sorted(answered + dropped) == list(range(60))
    assert dropped
    assert answered == sorted(answered)
    assert result["dropped"] == len(dropped)


def test_nothing_is_dropped_with_policy_all(server: LiveServer, frames: list[np.ndarray]) -> None:
    jpeg = cv2.imencode(".jpg", frames[0])[1].tobytes()
    with connect(socket_of(server, "?policy=all"), compression=None) as socket:
        socket.recv(5)
        for _ in range(40):
            socket.send(jpeg)
        assert [json.loads(socket.recv(20))["id"] for _ in range(40)] == list(range(40))


def test_bad_messages_are_answered_and_the_stream_goes_on(
    client: LiveClient, frames: list[np.ndarray]
) -> None:
    with client.stream() as stream:
        for message, code in [
            ("no JSON", "bad_message"),
            (b"no image", "unsupported_image"),
            (b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10junk", "broken_image"),
            (pack_frame({"id": "x"}, b""), "bad_message"),
        ]:
            stream._socket.send(message)
            answer = stream.receive()
            assert (answer["type"], answer["code"]) == ("error", code)
        with pytest.raises(LiveError, match="expected a JPEG"):
            stream.analyze(b"GIF89a")
        assert len(stream.analyze(frames[0])["faces"]) == 1


def test_a_flood_of_commands_is_obeyed_one_by_one(client: LiveClient) -> None:
    with client.stream() as stream:
        for number in range(100):
            stream.command("rows", number % 2 == 0)
        answers = [stream.receive()["on"] for _ in range(100)]
    assert answers == 50 * [True, False]


def test_reset_and_baseline_are_obeyed(client: LiveClient, frames: list[np.ndarray]) -> None:
    """The baseline is that of a pipeline that has one; switched off, it is gone."""
    smile = frames[55]
    times_s = [step / 4 for step in range(40)]
    with fa.open_pipeline(neutral_baseline=True) as pipeline:
        rows = [pipeline.analyze(fa.Frame(smile, time_s=time_s))[1] for time_s in times_s[1:]]
    expected = rows[-1].au_probability[0]
    with client.stream() as stream:

        def probabilities(time_s: float) -> list[float]:
            face = stream.analyze(smile, time_s=time_s)["faces"][0]
            return [face["action_units"][name] or 0.0 for name in fa.AU_NAMES]

        before = [probabilities(time_s - 10) for time_s in times_s][-1]
        stream.command("baseline")
        assert stream.receive() == {"type": "done", "of": "baseline", "on": True}
        during = [probabilities(time_s) for time_s in times_s[1:]][-1]
        stream.command("baseline", False)
        stream.receive()
        after = [probabilities(10 + time_s) for time_s in times_s][-1]
        stream.command("reset")
        assert stream.receive()["of"] == "reset"
        assert stream.analyze(smile, time_s=30)["faces"][0]["track_id"] == 1
    np.testing.assert_allclose(during, expected, atol=1e-2)
    # The crop may come to rest elsewhere, which moves a score in the steep part of its curve.
    np.testing.assert_allclose(after, before, atol=0.08)
    assert max(np.subtract(before, during)) > 0.2


def test_too_many_streams_silence_and_large_messages_end(demo: Path) -> None:
    limits = Limits(streams=1, idle_s=1.5, image_bytes=20_000, connections=3)
    with serve(LiveSettings(port=0, limits=limits)) as server:
        with connect(socket_of(server)) as first, connect(socket_of(server)) as second:
            for socket in (first, second):
                socket.recv(5)
            first.send('{"type": "reset"}')
            first.recv(5)
            second.send('{"type": "reset"}')
            assert json.loads(second.recv(5))["code"] == "busy"
            with pytest.raises(ConnectionClosed) as closed:
                second.recv(5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
            with pytest.raises(ConnectionClosed) as closed:
                first.recv(5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4008
        with connect(socket_of(server)) as socket:
            socket.recv(5)
            socket.send(bytes(30_000))
            with pytest.raises(ConnectionClosed):
                socket.recv(5)
        assert server.service.pool.lent == 0
