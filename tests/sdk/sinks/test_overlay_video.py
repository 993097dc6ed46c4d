"""Overlay videos: codec, frame rate, times, size and full disks."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sinks import SinkError
from faceaffect.sinks.overlay_video import OverlayVideo, default_suffix, fit_into
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


def test_overlay_video_of_source_with_gaps_keeps_its_times(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "out.mp4", 10)
    times_s = (5.0, 5.1, 5.5, 5.5, 5.6)  # two at the same time, as of a camera
    for index, time_s in enumerate(times_s):
        video.write(blank_frame(64, 48, index, time_s), np.zeros((48, 64, 3), np.uint8))
    video.close()
    with open_source(tmp_path / "out.mp4") as source:
        got = [frame.time_s for frame in source]
    assert got == pytest.approx([0, 0.1, 0.5, 0.5, 0.6], abs=1e-4)


def test_overlay_video_plays_in_browsers(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "out.mp4", 25)
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :, 2] = 200
    for index in range(5):
        video.write(blank_frame(64, 48, index, index / 25), red)
    video.close()
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.colorspace) == ("h264", "yuv420p", 1)
    with open_source(tmp_path / "out.mp4") as source:
        color = to_bgr(next(iter(source))).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(color, [0, 0, 200], atol=4)


def test_overlay_video_without_h264_encoder_is_av1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "faceaffect.sinks.overlay_video.has_encoder", lambda name: "264" not in name
    )
    assert default_suffix() == ".webm"
    video = OverlayVideo(tmp_path / "out.mp4", 25)
    for index in range(3):
        video.write(blank_frame(64, 64, index, index / 25), np.zeros((64, 64, 3), np.uint8))
    video.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert "av1" in container.streams.video[0].codec_context.name


def test_fit_into_other_size_scales_image() -> None:
    fitted = fit_into(np.full((100, 50, 3), 9, np.uint8), (64, 48))
    assert fitted.shape == (48, 64, 3)
    assert (fitted[:, :24] == 9).all()
    assert (fitted[:, 24:] == 0).all()


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files cannot grow beyond 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_overlay_video_on_full_disk_raises_sink_error(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "out.avi", 25)
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)

    def run() -> None:
        for index in range(20):
            video.write(blank_frame(320, 240, index, index / 25), noise)
        video.close()

    with pytest.raises(SinkError, match="only a part could be written"):
        run()
