from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.sources import SourceError, SourceOptions, expand_sources, open_source
from faceaffect.sources.read_image import is_animated_webp
from faceaffect.types import PixelFormat
from tests.sdk.sources.conftest import image_of, number_of


def write(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def test_folder_in_natural_order_with_own_paths(tmp_path: Path) -> None:
    for number in (10, 2, 1, 33):
        write(tmp_path / f"face_{number}.png", image_of(number))
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(tmp_path, SourceOptions(image_fps=10)) as source:
        assert source.frame_count == 4
        assert not source.is_sequence
        frames = list(source)
    assert [number_of(frame.pixels) for frame in frames] == [1, 2, 10, 33]
    assert [frame.source for frame in frames] == [
        str(tmp_path / f"face_{n}.png") for n in (1, 2, 10, 33)
    ]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_unreadable_image_is_skipped_and_keeps_its_index(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"{number}.png", image_of(number))
    (tmp_path / "1.png").write_bytes(b"broken")
    (tmp_path / "2.png").write_bytes(b"")
    with open_source(str(tmp_path / "*.png")) as source:
        assert [frame.index for frame in source] == [0, 3]
        assert len(source.notes) == 2
        assert "1.png: an image was wanted, this file cannot be decoded" in source.notes[0]


def test_resume_starts_in_the_middle(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.png", image_of(number))
    with open_source(tmp_path, SourceOptions(start_frame=3)) as source:
        assert [(frame.index, number_of(frame.pixels)) for frame in source] == [(3, 3), (4, 4)]


def test_folder_of_broken_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"broken")
    with open_source(tmp_path) as source, pytest.raises(SourceError, match="none of its 1 images"):
        list(source)


def test_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it is empty"):
        open_source(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"it holds clip\.mp4"):
        open_source(tmp_path)


GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


@pytest.mark.parametrize(
    ("name", "pixels", "layout"),
    [
        ("gray.png", GRAY, PixelFormat.GRAY),
        ("bgra.png", np.dstack([GRAY, GRAY, 255 - GRAY, np.full_like(GRAY, 9)]), PixelFormat.BGR),
        ("grey16.png", GRAY.astype(np.uint16) * 257, PixelFormat.GRAY),
        ("colour16.tiff", np.dstack([GRAY] * 3).astype(np.uint16) * 257, PixelFormat.BGR),
        ("one.png", np.full((1, 1, 3), 7, np.uint8), PixelFormat.BGR),
        ("huge.jpg", np.zeros((4320, 7680, 3), np.uint8), PixelFormat.BGR),
    ],
)
def test_every_kind_becomes_uint8(
    tmp_path: Path, name: str, pixels: np.ndarray, layout: PixelFormat
) -> None:
    path = write(tmp_path / name, pixels)
    with open_source(path) as source:
        (frame,) = source
        assert source.size_px == (pixels.shape[1], pixels.shape[0])
    assert (frame.layout, frame.pixels.shape[:2], frame.time_s) == (layout, pixels.shape[:2], 0.0)
    if name in ("bgra.png", "grey16.png", "colour16.tiff"):
        wanted = (pixels[..., :3] if layout is PixelFormat.BGR else pixels) // (
            257 if pixels.dtype == np.uint16 else 1
        )
        assert np.abs(frame.pixels.astype(int) - wanted.astype(int)).max() <= 1


def test_gray_with_alpha(tmp_path: Path) -> None:
    """OpenCV cannot write such a PNG; this one is made by hand."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(b"\0" + bytes([10 * y, 200] * 3) for y in range(2))
    header = struct.pack(">IIBBBBB", 3, 2, 8, 4, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "ga.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with open_source(tmp_path / "ga.png") as source:
        (frame,) = source
    assert frame.pixels[1].reshape(3, -1)[:, 0].tolist() == [10, 10, 10]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    path = write(tmp_path / "turned.jpg", np.zeros((20, 40, 3), np.uint8))
    tiff = b"II*\0" + struct.pack(
        "<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0
    )  # one entry: orientation = 6, turn right
    exif = b"Exif\0\0" + tiff
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    with open_source(path) as source:
        assert source.size_px == (20, 40)


def test_patterns_of_videos_expand_and_images_stay_together(tmp_path: Path) -> None:
    for name in ("b10.mp4", "b2.mp4"):
        (tmp_path / name).touch()
    write(tmp_path / "a.png", image_of(1))
    videos, images = str(tmp_path / "*.mp4"), str(tmp_path / "*.png")
    assert expand_sources([videos, images, "0", images]) == [
        str(tmp_path / "b2.mp4"),
        str(tmp_path / "b10.mp4"),
        images,
        "0",
    ]


def test_images_of_cameras_that_opencv_cannot_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(SourceError, match=r"cannot read \.HEIC; convert it to \.jpg"):
        open_source(tmp_path / "IMG_1.HEIC")
    write(tmp_path / "a.png", image_of(1))
    with open_source(tmp_path) as source:
        assert len(list(source)) == 1
        assert source.notes == [
            "skipped 1 images like IMG_1.HEIC, which OpenCV cannot read; convert them to .jpg"
        ]


@pytest.mark.parametrize("is_animated", [True, False])
def test_an_animation_of_which_only_the_first_image_is_read_is_told(
    tmp_path: Path, is_animated: bool
) -> None:
    """The flag of an extended WebP file (VP8X), set in a still image's."""
    still = write(tmp_path / "still.webp", image_of(1)).read_bytes()
    extended = (
        b"VP8X" + struct.pack("<I", 10) + bytes([2 * is_animated, 0, 0, 0, 63, 0, 0, 47, 0, 0])
    )
    body = b"WEBP" + extended + still[12:]
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert is_animated_webp(tmp_path / "a.webp") is is_animated
    assert not is_animated_webp(tmp_path / "still.webp")
