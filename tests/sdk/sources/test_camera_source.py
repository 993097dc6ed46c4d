"""Camera sources, tested with a fake camera that delivers, stalls, fails and returns on command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from faceaffect.sources import SourceError, SourceOptions, open_source
from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.csi_camera import csi_pipeline, require_gstreamer
from faceaffect.sources.rtsp_stream import redact_password
from faceaffect.types import PixelFormat


@dataclass
class FakeCamera:
    """A fake `cv2.VideoCapture`.

    Each opening follows the next plan: the number of frames before it is lost, or None if it
    cannot be opened.
    """

    plans: list[int | None]
    pause_s: float = 0.002
    openings: int = 0
    released: int = 0
    left: int = field(default=0)

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
        self.left -= 1
        return self.left >= 0, np.full((4, 4, 3), max(self.left, 0) % 256, np.uint8)

    def get(self, prop: int) -> float:
        return {3: 4.0, 4: 4.0, 5: 30.0}[prop]

    def release(self) -> None:
        self.released += 1


def open_camera(camera: FakeCamera, reconnect_timeout_s: float = 0.5) -> CameraSource:
    config = CameraConfig("fake", camera.open, PixelFormat.BGR, "plug it in")
    return CameraSource(config, SourceOptions(reconnect_timeout_s=reconnect_timeout_s))


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
            assert age_s < 0.05
            indices.append(frame.index)
            if len(indices) == 5:
                break
            time.sleep(0.05)
        assert (np.diff(indices) > 3).all()
        assert source.dropped >= indices[-1] - len(indices)
        assert (source.fps, source.size_px, source.is_live) == (30.0, (4, 4), True)


def test_camera_source_with_fast_consumer_drops_no_frame() -> None:
    with open_camera(FakeCamera([20], pause_s=0.01), reconnect_timeout_s=0) as source:
        assert [frame.index for frame in source] == list(range(20))
        assert source.dropped == 0


def test_camera_source_after_loss_reopens_camera_and_notes_it() -> None:
    camera = FakeCamera([3, None, None, 3, None], pause_s=0.01)
    with open_camera(camera, reconnect_timeout_s=0.8) as source:
        indices = [frame.index for frame in source]
    assert indices == list(range(6))
    assert camera.openings >= 5
    assert source.notes[0].startswith("fake: lost after 3 frames (")
    assert "back after" in source.notes[0]
    assert source.notes[1].endswith("it did not come back within 0.8 s")


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
    assert "faceaffect-live" not in {thread.name for thread in threading.enumerate()}


def test_csi_pipeline_with_options_delivers_nv12() -> None:
    assert csi_pipeline("csi://1?width=640&height=480&fps=60&flip=2") == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=640, "
        "height=480, framerate=60/1, format=NV12 ! nvvidconv flip-method=2 ! "
        "video/x-raw, format=NV12 ! appsink drop=true max-buffers=1 sync=false"
    )


@pytest.mark.parametrize(
    "uri",
    ["csi://left", "csi://0?flip=8", "csi://0?speed=9", "csi://0?width=wide", "csi://0?fps=0"],
)
def test_csi_pipeline_with_malformed_address_raises_source_error(uri: str) -> None:
    with pytest.raises(SourceError, match="csi://"):
        csi_pipeline(uri)


def test_require_gstreamer_without_gstreamer_raises_source_error() -> None:
    require_gstreamer("csi://0", "  Video I/O:\n    GStreamer:                   YES (1.20.3)\n")
    with pytest.raises(SourceError, match="OpenCV built with GStreamer"):
        require_gstreamer("csi://0", "    GStreamer:                   NO\n")


def test_open_source_with_missing_camera_raises_source_error_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SourceError, match="check that the camera is plugged in"):
        open_source("v4l2:///dev/video97")
    with pytest.raises(SourceError, match="three slashes"):
        open_source("v4l2://video0")
    assert capfd.readouterr().err == ""


def test_redact_password_hides_password() -> None:
    assert redact_password("rtsp://ann:secret@host:554/live") == "rtsp://ann:***@host:554/live"
    with pytest.raises(SourceError, match="got no host"):
        open_source("rtsp:///live")
