"""Camera sources, tested with a fake camera that delivers, stalls, fails and returns on command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from faceaffect.sources import SourceError, SourceOptions
from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.types import PixelFormat


@dataclass
class FakeCamera:
    """A fake `cv2.VideoCapture`.

    Each opening follows the next plan: the number of frames before it is lost, or None if it
    cannot be opened.
    """

    plans: list[int | None]
    pause_s: float = 0.002
    is_paced_by_consumer: bool = False
    """The next frame comes only after `take`, so that no slow machine drops one."""
    openings: int = 0
    released: int = 0
    left: int = field(default=0)
    taken: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))

    def open(self) -> FakeCamera:
        plan = self.plans[min(self.openings, len(self.plans) - 1)]
        self.openings += 1
        self.is_open = plan is not None
        self.left = plan or 0
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.is_open

    def read(self) -> tuple[bool, Any]:
        time.sleep(self.pause_s)
        if self.is_paced_by_consumer and self.left > 0:
            assert self.taken.acquire(timeout=60)
        self.left -= 1
        return self.left >= 0, np.full((4, 4, 3), max(self.left, 0) % 256, np.uint8)

    def get(self, prop: int) -> float:
        return {3: 4.0, 4: 4.0, 5: 30.0}[prop]

    def release(self) -> None:
        self.released += 1


def open_camera(camera: FakeCamera, reconnect_timeout_s: float = 0.5) -> CameraSource:
    config = CameraConfig("fake", camera.open, PixelFormat.BGR, "plug it in")
    return CameraSource(config, SourceOptions(reconnect_timeout_s=reconnect_timeout_s))


def indices_in_step(camera: FakeCamera, source: CameraSource) -> list[int]:
    """Read `source` whole; the camera delivers a frame when the one before has been taken."""
    indices = []
    for frame in source:
        indices.append(frame.index)
        camera.taken.release()
    return indices


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_camera_source_with_slow_consumer_returns_newest_frame_and_counts_drops() -> None:
    with open_camera(FakeCamera([1000])) as source:
        indices = []
        for frame in source:
            age_s = time.monotonic() - source.opened_s - frame.time_s
            assert age_s < 0.2
            indices.append(frame.index)
            if len(indices) == 5:
                break
            time.sleep(0.05)
        assert (np.diff(indices) > 3).all()
        assert source.dropped >= indices[-1] - len(indices)
        assert (source.fps, source.size_px, source.is_live) == (30.0, (4, 4), True)


def test_camera_source_with_fast_consumer_drops_no_frame() -> None:
    camera = FakeCamera([20], is_paced_by_consumer=True)
    with open_camera(camera, reconnect_timeout_s=0) as source:
        assert indices_in_step(camera, source) == list(range(20))
        assert source.dropped == 0


def test_camera_source_after_loss_reopens_camera_and_notes_it() -> None:
    camera = FakeCamera([3, None, None, 3, None], is_paced_by_consumer=True)
    with open_camera(camera, reconnect_timeout_s=0.8) as source:
        assert not source.is_lost
        indices = indices_in_step(camera, source)
    assert indices == list(range(6))
    assert camera.openings >= 5
    assert source.notes[0].startswith("fake: lost after 3 frames (")
    assert "back after" in source.notes[0]
    assert source.notes[1].endswith("it did not come back within 0.8 s")
    assert source.is_lost


def test_camera_source_without_frames_after_reopening_ends() -> None:
    with open_camera(FakeCamera([3, 0]), reconnect_timeout_s=0.5) as source:
        start_s = time.monotonic()
        assert len(list(source)) <= 3
    assert time.monotonic() - start_s < 3


def test_camera_source_that_cannot_be_opened_raises_source_error() -> None:
    camera = FakeCamera([None])
    with pytest.raises(SourceError, match="fake: cannot be opened; plug it in"):
        open_camera(camera)
    assert camera.released == 1


def test_close_while_reconnecting_returns_promptly() -> None:
    camera = FakeCamera([1, None])
    source = open_camera(camera, reconnect_timeout_s=60)
    wait_until(lambda: camera.openings > 2)
    start_s = time.monotonic()
    source.close()
    assert time.monotonic() - start_s < 1
    assert "faceaffect-camera" not in {thread.name for thread in threading.enumerate()}
