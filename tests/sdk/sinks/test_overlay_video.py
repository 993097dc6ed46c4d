"""Overlay videos: frame rate, time, size and full disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sinks import SinkError
from faceaffect.sinks.overlay_video import OverlayVideo, fit_into
from faceaffect.sources import open_source
from faceaffect.types import Frame


def blank_frame(width: int, height: int, index: int = 0, time_s: float = 0.0) -> Frame:
    return Frame(
        np.full((height, width, 3), 90, np.uint8), index=index, time_s=time_s, source="clip.mp4"
    )


@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.avi"])
def test_overlay_video_has_frame_rate_of_source(tmp_path: Path, name: str) -> None:
    video = OverlayVideo(tmp_path / name, 24000 / 1001)
    for index in range(20):
        video.write(
            blank_frame(63, 47, index, index * 1001 / 24000),
            np.full((47, 63, 3), 8 * index, np.uint8),
        )
    video.close()
    with open_source(tmp_path / name) as source:
        frames = list(source)
    assert len(frames) == 20
    assert source.fps == pytest.approx(23.976, abs=0.01)
    assert to_bgr(frames[0]).shape == (48, 64, 3)


def test_overlay_video_of_source_with_gaps_repeats_frames(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "out.mp4", 10)
    for index, time_s in enumerate((5.0, 5.1, 5.5, 5.6)):
        video.write(blank_frame(64, 48, index, time_s), np.zeros((48, 64, 3), np.uint8))
    video.close()
    with open_source(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 7


def test_fit_into_other_size_scales_image() -> None:
    fitted = fit_into(np.full((100, 50, 3), 9, np.uint8), (64, 48))
    assert fitted.shape == (48, 64, 3)
    assert (fitted[:, :24] == 9).all()
    assert (fitted[:, 24:] == 0).all()


VideoWriter = cv2.VideoWriter


class TruncatingWriter:
    """A `cv2.VideoWriter` that leaves a short file, as on a full disk; OpenCV reports no error."""

    fourcc = staticmethod(VideoWriter.fourcc)

    def __init__(self, path: str, *options: Any) -> None:
        self._path = Path(path)
        self._writer = VideoWriter(path, *options)
        self.isOpened = self._writer.isOpened
        self.write = self._writer.write

    def release(self) -> None:
        self._writer.release()
        self._path.write_bytes(self._path.read_bytes()[:600])


def test_overlay_video_on_full_disk_raises_sink_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoWriter", TruncatingWriter)
    video = OverlayVideo(tmp_path / "out.mp4", 25)
    for index in range(20):
        video.write(blank_frame(64, 48, index, index / 25), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(SinkError, match="only a part could be written"):
        video.close()
