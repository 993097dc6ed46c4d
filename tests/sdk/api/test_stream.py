"""Streams yield the newest frame, also to `async for`."""

from __future__ import annotations

import asyncio
import gc
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
    frames.close()
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
    assert not any(name.startswith("faceaffect-camera") for name in names)


def cancel_when(source_is_blocked: threading.Event) -> float:
    """Cancel a task that reads an async stream; return how long that takes in seconds."""

    async def read() -> None:
        async for _ in fa.astream(0):
            pass

    async def cancel() -> float:
        task = asyncio.create_task(read())
        while not source_is_blocked.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        started_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started_s

    return asyncio.run(cancel())


def test_async_stream_can_be_cancelled_while_it_waits(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera is lost after 20 frames; without the cancellation that would take 10 s to tell."""
    original, blocked = camera.read, threading.Event()

    def read() -> tuple[bool, np.ndarray]:
        if camera.count < 20:
            return original()
        if analyzed.is_set():
            blocked.set()
        return False, camera.pixels

    analyzed = threading.Event()
    analyze = fa.Pipeline.analyze
    monkeypatch.setattr(fa.Pipeline, "analyze", lambda *given: (analyzed.set(), analyze(*given))[1])
    monkeypatch.setattr(camera, "read", read)
    assert cancel_when(blocked) < 5
    assert not camera.is_open


def test_async_stream_that_is_cancelled_while_it_opens_closes_the_camera(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = threading.Event()
    stream_module = importlib.import_module("faceaffect.api.stream")
    original = stream_module.open_pipeline

    def open_slowly(*given: object, **options: object) -> object:
        opening.set()
        time.sleep(0.5)
        return original(*given, **options)

    monkeypatch.setattr(stream_module, "open_pipeline", open_slowly)
    assert cancel_when(opening) < 5
    assert not camera.is_open


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
    height, width = frames[0].shape[:2]
    assert drawn.shape[0] == height
    assert (drawn[:, :width] != frames[0]).any()
    with pytest.raises(ValueError, match="frame with pixels"):
        result[0].draw()
    np.testing.assert_array_equal(result[0].draw(view.image), drawn)


def test_camera_is_closed_however_a_stream_ends(camera: Camera, clip: Path) -> None:
    with fa.stream(0) as frames:
        assert camera.is_open
    assert not camera.is_open
    assert list(frames) == []
    camera.is_open = True
    unused = fa.stream(0)
    del unused
    gc.collect()
    assert not camera.is_open
    camera.is_open = True
    frames = fa.stream(0)
    frames._frames = (1 / 0 for _ in range(1))  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        next(frames)
    assert not camera.is_open


@pytest.mark.parametrize("source", [None, True, 1.5])
def test_stream_refuses_other_types(source: object) -> None:
    with pytest.raises(fa.InputError, match="expected a path"):
        fa.stream(source)  # type: ignore[arg-type]
