"""NVIDIA's hardware decoder as a source, tested with a fake capture: pipelines, frames, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.nvdec_video import (
    NvdecVideo,
    nvdec_file_pipeline,
    nvdec_stream,
    nvdec_stream_pipeline,
)
from faceaffect.sources.open_source import is_live, open_source
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import PixelFormat, YuvColor


class FakeCapture:
    def __init__(self, count: int = 4, opens: bool = True) -> None:
        self._count = count
        self._index = -1
        self._opens = opens
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self._opens

    def read(self) -> tuple[bool, Any]:
        self._index += 1
        return (
            (True, np.full((36, 32), self._index, np.uint8))
            if self._index < self._count
            else (False, None)
        )

    def get(self, prop: int, /) -> float:
        return {0: 40.0 * self._index, 3: 32, 4: 24, 5: 25}[prop]

    def release(self) -> None:
        self.released = True


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"x")
    return path


def test_nvdec_video_yields_nv12_frames_with_times(clip: Path) -> None:
    capture = FakeCapture()
    with NvdecVideo(f"nvdec://{clip}", SourceOptions(start_frame=1), lambda _: capture) as source:
        assert (source.fps, source.size_px, source.is_live) == (25, (32, 24), False)
        frames = list(source)
    assert [frame.index for frame in frames] == [1, 2, 3]
    assert [round(frame.time_s, 3) for frame in frames] == [0.04, 0.08, 0.12]
    assert {frame.pixel_format for frame in frames} == {PixelFormat.NV12}
    assert (frames[0].height_px, frames[0].width_px) == (24, 32)
    assert capture.released


@pytest.mark.parametrize(
    ("height", "color"), [(480, YuvColor.BT601), (718, YuvColor.BT601), (720, YuvColor.BT709)]
)
def test_nv12_frames_are_bt709_from_720_lines_on(clip: Path, height: int, color: YuvColor) -> None:
    class Sized(FakeCapture):
        def read(self) -> tuple[bool, Any]:
            ok, _ = super().read()
            return ok, np.full((height * 3 // 2, 32), 7, np.uint8) if ok else None

    with NvdecVideo(f"nvdec://{clip}", SourceOptions(), lambda _: Sized()) as source:
        assert {frame.color for frame in source} == {color}
    config = CameraConfig("csi", Sized, PixelFormat.NV12, "plug it in")
    with CameraSource(config, SourceOptions(reconnect_timeout_s=0)) as camera:
        assert {frame.color for frame in camera} == {color}


def test_nvdec_pipelines_deliver_nv12_without_conversion(clip: Path) -> None:
    for text in (nvdec_file_pipeline(clip), nvdec_stream_pipeline("nvdec+rtsp://camera/1")):
        assert "nvv4l2decoder ! nvvidconv ! video/x-raw, format=NV12 ! appsink" in text
        assert "videoconvert" not in text
    assert "drop=false" in nvdec_file_pipeline(clip)
    assert 'rtspsrc location="rtsp://camera/1" latency=0' in nvdec_stream_pipeline(
        "nvdec+rtsp://camera/1"
    )


def test_nvdec_file_pipeline_quotes_file_name() -> None:
    text = nvdec_file_pipeline(Path('/a" ! filesink location=/etc/passwd \\'))
    assert text.startswith(
        'filesrc location="/a\\" ! filesink location=/etc/passwd \\\\" ! parsebin'
    )


def test_nvdec_sources_with_invalid_input_raise_source_error(clip: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source("nvdec:///nowhere.mp4")
    with pytest.raises(SourceError, match="decode on the CPU"):
        NvdecVideo(f"nvdec://{clip}", None, lambda _: FakeCapture(opens=False))
    with pytest.raises(SourceError, match="got no host"):
        nvdec_stream("nvdec+rtsp:///path")
    assert nvdec_stream("nvdec+rtsp://me:secret@camera/1").name == "nvdec+rtsp://me:***@camera/1"
    assert is_live("nvdec+rtsp://camera/1")
    assert not is_live(f"nvdec://{clip}")


def test_nvdec_video_without_gstreamer_raises_source_error(clip: Path) -> None:
    import cv2

    if any(
        "GStreamer:" in line and "YES" in line for line in cv2.getBuildInformation().splitlines()
    ):
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(SourceError, match="need an OpenCV built with GStreamer"):
        open_source(f"nvdec://{clip}")
