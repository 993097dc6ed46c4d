"""Viewers of the server's source: the newest message, and every row."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

import faceaffect as fa
from faceaffect.live.client import LiveClient
from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import LiveSettings
from faceaffect.live.source_runner import (
    MAX_HELD_ROWS,
    MAX_SHOWN_PX,
    LateViewerError,
    Message,
    Viewer,
    encode_jpeg,
)
from tests.sdk.live.live_server import serve

REQUIRES = ("fastapi", "uvicorn", "prometheus_client", "websockets")


def test_a_slow_viewer_gets_the_newest_message_and_all_rows() -> None:
    async def run() -> None:
        viewer = Viewer(takes_images=True)
        viewer.takes_rows = True
        for number in range(5):
            viewer.offer(Message(f"{number}", f"row {number}\n", b""))
        message, rows = await viewer.take()
        assert message.text == "4"
        assert rows == "".join(f"row {number}\n" for number in range(5))
        assert viewer.dropped == 4
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(viewer.take(), 0.01)

    asyncio.run(run())


def test_rows_for_a_viewer_that_takes_none_are_bounded() -> None:
    async def run() -> None:
        viewer = Viewer(takes_images=False)
        viewer.takes_rows = True
        for _ in range(2 * MAX_HELD_ROWS):
            viewer.offer(Message("{}", "row\n", b""))
        assert len(viewer._rows) <= MAX_HELD_ROWS + 1
        with pytest.raises(LateViewerError):
            await viewer.take()

    asyncio.run(run())


def test_images_of_pages_are_small_and_look_the_same() -> None:
    ramp = np.tile(np.linspace(0, 255, 2560).astype(np.uint8), (1440, 1))
    content = encode_jpeg(fa.Frame(ramp, fa.PixelFormat.GRAY))
    shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == (720, MAX_SHOWN_PX)
    expected = cv2.resize(ramp, (MAX_SHOWN_PX, 720), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - expected).mean() < 2


def test_a_file_is_played_at_its_own_speed_and_loops(server: LiveServer) -> None:
    results = list(LiveClient(server.address).events(25))
    times_s = np.array([result["time_s"] for result in results])
    steps = np.diff(times_s)
    assert (steps > 0).all()
    np.testing.assert_allclose(steps / np.rint(steps * 30), 1 / 30, atol=1e-4)
    assert all(len(result["faces"]) == 1 for result in results[-5:])


def test_programs_watch_results_without_images(server: LiveServer) -> None:
    from websockets.sync.client import connect

    address = f"{server.address.replace('http', 'ws')}v1/watch?images=false"
    with connect(address, compression=None) as socket:
        messages = [json.loads(socket.recv(5)) for _ in range(8)]
    assert [message["type"] for message in messages] == ["state"] + 7 * ["result"]
    assert messages[-1]["faces"][0]["track_id"] == 1


def test_a_file_ends_and_is_played_again(demo: Path) -> None:
    """The socket of a page: state, results with images, the end, and the start anew."""
    from websockets.sync.client import connect

    def text_of(message: bytes | str) -> dict[str, object]:
        if isinstance(message, str):
            return dict(json.loads(message))
        length = int.from_bytes(message[:4], "little")
        return dict(json.loads(message[4 : 4 + length]))

    with serve(LiveSettings(source=str(demo), port=0)) as server:
        runner = server.service.runner
        assert runner is not None
        address = f"{server.address.replace('http', 'ws')}v1/watch"
        with connect(address, max_size=None, compression=None) as socket:
            assert text_of(socket.recv(5))["type"] == "state"
            first = socket.recv(5)
            assert isinstance(first, bytes)
            jpeg = first[4 + int.from_bytes(first[:4], "little") :]
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (360, 640, 3)
            socket.send('{"type": "ack"}')
            runner._set_state("ended")
            while text_of(message := socket.recv(5))["type"] != "state":
                socket.send('{"type": "ack"}')
            assert text_of(message)["source"]["state"] == "ended"  # type: ignore[index]
            for nonsense in ("{}", "no JSON", "[1]", '{"type": 5}'):
                socket.send(nonsense)
            socket.send('{"type": "ack"}')
            assert text_of(socket.recv(5))["type"] == "result"


def test_a_file_that_cannot_be_opened_is_refused_at_once(tmp_path: Path, trained: None) -> None:
    with pytest.raises(fa.SourceError, match=r"missing\.mp4"):
        LiveServer(LiveSettings(source=str(tmp_path / "missing.mp4"), port=0))


def test_a_camera_that_cannot_be_opened_is_told(trained: None) -> None:
    with serve(LiveSettings(source="v4l2:///dev/video97", port=0)) as server:
        answers = set()
        for _ in range(200):
            answers.add(httpx.get(f"{server.address}readyz").text)
            if "the source has failed\n" in answers:
                break
        assert "the source has failed\n" in answers
        source = LiveClient(server.address).model()["source"]
        assert source is not None
        assert (source["name"], source["state"]) == ("video97", "failed")
