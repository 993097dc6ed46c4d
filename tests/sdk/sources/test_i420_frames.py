"""Frames whose planes are the decoder's own, against FFmpeg's conversion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect.kernels import crop_face
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources import open_source
from faceaffect.types import Frame, PixelFormat, Planes, YuvColor
from tests.sdk.sources.ffmpeg_clips import decoded_by_ffmpeg, ffmpeg, needs_ffmpeg, smooth_chroma

pytestmark = needs_ffmpeg


def cropped_bgr(frame: Frame) -> np.ndarray:
    """The upper left square of a frame, BGR, by the crop kernel."""
    side, plain = min(frame.height_px, frame.width_px), np.array([[[1, 0, 0], [0, 1, 0]]])
    crop = crop_face(
        frame, plain.astype(np.float32), size_px=side, mean=(0, 0, 0), std=(1 / 255,) * 3
    )
    return crop[0].transpose(1, 2, 0)[..., ::-1]


def write_planes(path: Path, size: tuple[int, int], *options: str) -> list[Planes]:
    """Write three frames of random luma and slowly changing chroma, losslessly; return planes."""
    width, height = size
    random, frames = np.random.default_rng(1), []
    y, x = np.mgrid[: (height + 1) // 2, : (width + 1) // 2]
    for shift in range(3):
        luma = random.integers(40, 200, (height, width), np.uint8)
        u, v = (np.uint8(100 + x + shift), np.uint8(150 - y - shift))
        frames.append((luma, u, v))
    raw = path.with_suffix(".yuv")
    raw.write_bytes(b"".join(plane.tobytes() for frame in frames for plane in frame))
    layout = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
    ffmpeg(*layout, "-i", raw, "-c:v", "ffv1", *options, path)
    return frames


@pytest.mark.parametrize("size", [(96, 64), (95, 63)])
@pytest.mark.parametrize(
    ("matrix", "color_range", "color"),
    [
        ("smpte170m", "tv", YuvColor.BT601),
        ("bt470bg", "pc", YuvColor.BT601_FULL),
        ("bt709", "tv", YuvColor.BT709),
        ("bt709", "pc", YuvColor.BT709_FULL),
        ("bt2020nc", "tv", YuvColor.BT2020),
        ("bt2020nc", "pc", YuvColor.BT2020_FULL),
    ],
)
def test_planes_and_their_colors_equal_those_of_ffmpeg(
    tmp_path: Path, matrix: str, color_range: str, color: YuvColor, size: tuple[int, int]
) -> None:
    path = tmp_path / "color.mkv"
    # Both: ffmpeg converts frames that are not tagged like its output from version 7 on.
    tags = ["-vf", f"setparams=colorspace={matrix}:range={color_range}"]
    tags += ["-colorspace", matrix, "-color_range", color_range]
    written = write_planes(path, size, *tags)
    expected = decoded_by_ffmpeg(path, size)
    with open_source(path) as source:
        frames = list(source)
    assert len(frames) == len(expected) == 3
    side = min(size)
    for frame, planes, right in zip(frames, written, expected, strict=True):
        assert (frame.pixel_format, frame.color) == (PixelFormat.I420, color)
        for got, plane in zip((frame.pixels, *(frame.chroma or ())), planes, strict=True):
            np.testing.assert_array_equal(got, plane)
        # Rounding, tables of FFmpeg, and half a step of chroma, which it does not interpolate.
        assert np.abs(to_bgr(frame).astype(int) - right).max() <= 4
        assert np.abs(to_bgr(frame).astype(float) - right).mean() < 1.3  # FFmpeg truncates
        assert np.abs(cropped_bgr(frame) - to_bgr(frame)[:side, :side]).max() < 1.5


@pytest.mark.parametrize(
    ("size", "color"), [("320x240", YuvColor.BT601), ("1280x720", YuvColor.BT709)]
)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p"])
def test_video_without_color_matrix_is_bt709_from_720_lines_on(
    tmp_path: Path, size: str, color: YuvColor, pixel_format: str
) -> None:
    path = tmp_path / "plain.mkv"
    width, height = map(int, size.split("x"))
    orange = ["-f", "lavfi", "-i", f"color=0xe08040:s={size}:r=25:d=0.08"]
    matrix = "bt601" if color is YuvColor.BT601 else "bt709"
    scale = f"scale=out_color_matrix={matrix}:out_range=tv,format={pixel_format}"
    ffmpeg(*orange, "-vf", f"{scale},setparams=colorspace=unknown", "-c:v", "ffv1", path)
    with open_source(path) as source:
        bgr = to_bgr(next(iter(source)))
    assert bgr.shape == (height, width, 3)
    assert np.abs(bgr.astype(int) - (0x40, 0x80, 0xE0)).max() <= 4


def test_planes_are_views_that_cannot_be_written(tmp_path: Path) -> None:
    """The decoder predicts later frames from these bytes."""
    path = tmp_path / "clip.mp4"
    ffmpeg(*smooth_chroma("96x64", seconds=0.4), "-c:v", "libx264", path)
    with open_source(path) as source:
        frames = list(source)
    expected = decoded_by_ffmpeg(path, (96, 64))
    for frame, right in zip(frames, expected, strict=True):  # they outlive the decoder
        assert frame.chroma is not None
        for plane in (frame.pixels, *frame.chroma):
            assert plane.base is not None
            with pytest.raises(ValueError, match="read-only"):
                plane[0, 0] = 0
        assert np.abs(to_bgr(frame).astype(int) - right).mean() < 1.3


@pytest.mark.parametrize(
    ("chroma", "message"),
    [
        (None, "got None"),
        ((np.zeros((2, 2), np.uint8),) * 2, r"each uint8 \[3, 4\]"),
        ((np.zeros((3, 4), np.uint8), np.zeros((3, 8), np.uint8)[:, ::2]), "same strides"),
        ((np.zeros((3, 4), np.float32),) * 2, "float32"),
    ],
)
def test_i420_frame_with_wrong_chroma_raises(
    chroma: tuple[np.ndarray, np.ndarray] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Frame(np.zeros((5, 7), np.uint8), PixelFormat.I420, chroma=chroma)


def test_chroma_of_other_formats_raises() -> None:
    planes = (np.zeros((2, 2), np.uint8),) * 2
    with pytest.raises(ValueError, match="chroma None for pixel format GRAY"):
        Frame(np.zeros((4, 4), np.uint8), PixelFormat.GRAY, chroma=planes)
