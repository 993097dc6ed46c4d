"""Streams yield the newest frame, also to `async for`."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import faceaffect as fa
from faceaffect.sources.camera_source import CameraConfig


class Camera:
    """A double of cv2.VideoCapture that repeats a frame every 5 ms; its corner holds the number."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.count = 0
        self.is_open = True

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        time.sleep(0.005)
        pixels = self.pixels.copy()
        pixels[0, 0] = (self.count % 256, self.count // 256, 0)
        self.count += 1
        return True, pixels

    def get(self, prop: int, /) -> float:
        return 0.0

    def release(self) -> None:
        self.is_open = False


@pytest.fixture
def camera(frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Camera:
    camera = Camera(frames[-1])
    config = CameraConfig("0", lambda: camera, fa.PixelFormat.BGR, "check it")
    sources = importlib.import_module("faceaffect.sources.open_source")
    monkeypatch.setattr(sources, "v4l2_camera", lambda address: config)
    return camera


def number_of(view: fa.FrameView) -> int:
    assert view.image is not None
    return int(view.image.pixels[0, 0, 0]) + 256 * int(view.image.pixels[0, 0, 1])


def test_newest_frame_wins(camera: Camera) -> None:
    seen = []
    frames = fa.stream(0)
    for view in frames:
        before = camera.count
        seen.append((number_of(view), before))
        if len(seen) == 4:
            break
        time.sleep(0.1)
    assert len(view.faces) == 1, "the detector has run beside the first frames"
    frames.close()  # type: ignore[attr-defined]
    numbers = [number for number, _ in seen]
    assert all(b - a >= 5 for a, b in pairwise(numbers)), "late ones dropped"
    assert all(before - number <= 10 for number, before in seen), "frames are fresh"
    assert not camera.is_open


def test_async_stream_leaves_the_loop_free_and_closes_the_camera(camera: Camera) -> None:
    async def run() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.002)

        ticker = asyncio.create_task(tick())
        numbers = []
        frames = fa.astream(0)
        async for view in frames:
            numbers.append(number_of(view))
            if len(numbers) == 5:
                break
            await asyncio.sleep(0.05)
        await frames.aclose()  # type: ignore[attr-defined]
        ticker.cancel()
        return numbers, ticks

    numbers, ticks = asyncio.run(run())
    assert all(b - a >= 3 for a, b in pairwise(numbers))
    assert ticks > 20
    assert not camera.is_open
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("faceaffect-live") for name in names)


def test_async_stream_can_be_cancelled_while_it_waits(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = threading.Event()

    def read() -> tuple[bool, np.ndarray]:
        blocked.set()
        time.sleep(0.3)
        return False, camera.pixels

    monkeypatch.setattr(camera, "read", read)

    async def run() -> None:
        async for _ in fa.astream(0):
            pass

    async def cancel() -> None:
        task = asyncio.create_task(run())
        while not blocked.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started_s = time.monotonic()
    asyncio.run(cancel())
    assert time.monotonic() - started_s < 20


def test_files_and_iterators_are_analyzed_whole(
    clip: Path, result: fa.Result, frames: list[np.ndarray]
) -> None:
    views = list(fa.stream(clip))
    assert [view.index for view in views] == list(range(60))
    got = np.concatenate([view.affect_arrays.valence for view in views])
    np.testing.assert_array_equal(got, result.affect.valence)
    assert [len(view) for view in fa.stream(iter(frames[:3]))] == [1, 1, 1]


def test_frames_can_be_drawn_on(clip: Path, result: fa.Result, frames: list[np.ndarray]) -> None:
    view = next(iter(fa.stream(clip)))
    drawn = view.draw()
    assert drawn.shape == frames[0].shape
    assert (drawn != frames[0]).any()
    with pytest.raises(ValueError, match="frame with pixels"):
        result[0].draw()
    np.testing.assert_array_equal(result[0].draw(fa.Frame(frames[0])), drawn)


@pytest.mark.parametrize("source", [None, True, 1.5])
def test_stream_refuses_other_types(source: object) -> None:
    with pytest.raises(fa.InputError, match="expected a path"):
        fa.stream(source)  # type: ignore[arg-type]
