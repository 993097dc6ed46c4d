"""Images, folders of images and patterns as sources."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.sources import SourceError, SourceOptions, open_source
from faceaffect.sources.animated_image import is_animated_webp
from faceaffect.types import PixelFormat
from tests.sdk.sources.conftest import decode_number, numbered_image


def write_image(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def test_image_folder_is_read_in_natural_order_with_image_paths(tmp_path: Path) -> None:
    for number in (10, 2, 1, 33):
        write_image(tmp_path / f"face_{number}.png", numbered_image(number))
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(tmp_path, SourceOptions(image_fps=10)) as source:
        assert source.frame_count == 4
        assert not source.is_sequence
        frames = list(source)
    assert [decode_number(frame.pixels) for frame in frames] == [1, 2, 10, 33]
    assert [frame.source for frame in frames] == [
        str(tmp_path / f"face_{n}.png") for n in (1, 2, 10, 33)
    ]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_image_folder_with_unreadable_image_skips_it_and_its_index(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"{number}.png", numbered_image(number))
    (tmp_path / "1.png").write_bytes(b"broken")
    (tmp_path / "2.png").write_bytes(b"")
    with open_source(str(tmp_path / "*.png")) as source:
        assert [frame.index for frame in source] == [0, 3]
        assert len(source.notes) == 2
        assert "1.png: expected an image, got a file that cannot be decoded" in source.notes[0]


def test_image_folder_with_start_frame_begins_there(tmp_path: Path) -> None:
    for number in range(5):
        write_image(tmp_path / f"{number}.png", numbered_image(number))
    with open_source(tmp_path, SourceOptions(start_frame=3)) as source:
        assert [(frame.index, decode_number(frame.pixels)) for frame in source] == [(3, 3), (4, 4)]


def test_image_folder_without_readable_image_raises_source_error(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"broken")
    with open_source(tmp_path) as source, pytest.raises(SourceError, match="none of its 1 images"):
        list(source)


def test_image_folder_without_images_raises_source_error_naming_its_content(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="got an empty one"):
        open_source(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"got one with clip\.mp4"):
        open_source(tmp_path)


GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


@pytest.mark.parametrize(
    ("name", "pixels", "pixel_format"),
    [
        ("gray.png", GRAY, PixelFormat.GRAY),
        ("bgra.png", np.dstack([GRAY, GRAY, 255 - GRAY, np.full_like(GRAY, 255)]), PixelFormat.BGR),
        ("gray16.png", GRAY.astype(np.uint16) * 257, PixelFormat.GRAY),
        ("color16.tiff", np.dstack([GRAY] * 3).astype(np.uint16) * 257, PixelFormat.BGR),
        ("one.png", np.full((1, 1, 3), 7, np.uint8), PixelFormat.BGR),
        ("huge.jpg", np.zeros((4320, 7680, 3), np.uint8), PixelFormat.BGR),
    ],
)
def test_read_image_of_any_depth_returns_uint8(
    tmp_path: Path, name: str, pixels: np.ndarray, pixel_format: PixelFormat
) -> None:
    path = write_image(tmp_path / name, pixels)
    with open_source(path) as source:
        (frame,) = source
        assert source.size_px == (pixels.shape[1], pixels.shape[0])
    assert (frame.pixel_format, frame.pixels.shape[:2], frame.time_s) == (
        pixel_format,
        pixels.shape[:2],
        0.0,
    )
    if name in ("bgra.png", "gray16.png", "color16.tiff"):
        expected = (pixels[..., :3] if pixel_format is PixelFormat.BGR else pixels) // (
            257 if pixels.dtype == np.uint16 else 1
        )
        assert np.abs(frame.pixels.astype(int) - expected.astype(int)).max() <= 1


def test_read_image_of_gray_with_alpha_blends_it_with_gray(tmp_path: Path) -> None:
    """The PNG is assembled by hand, because OpenCV cannot write one with gray and alpha."""
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
    expected = round((10 * 200 + 127 * 55) / 255)
    assert frame.pixels[1].reshape(3, -1)[:, 0].tolist() == [expected] * 3


def test_read_image_with_exif_orientation_rotates_it(tmp_path: Path) -> None:
    path = write_image(tmp_path / "rotated.jpg", np.zeros((20, 40, 3), np.uint8))
    # A directory with one entry: orientation (0x0112) = 6, rotate right.
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    with open_source(path) as source:
        assert source.size_px == (20, 40)


def test_unsupported_image_raises_source_error_and_is_noted_in_folder(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.JXL").write_bytes(b"\xff\x0a")
    with pytest.raises(SourceError, match=r"got \.JXL; convert it to \.jpg"):
        open_source(tmp_path / "IMG_1.JXL")
    write_image(tmp_path / "a.png", numbered_image(1))
    with open_source(tmp_path) as source:
        assert len(list(source)) == 1
        assert source.notes == [
            "skipped 1 images like IMG_1.JXL, which cannot be read; convert them to .jpg"
        ]


@pytest.mark.parametrize("is_animated", [True, False])
def test_is_animated_webp_reads_animation_flag(tmp_path: Path, is_animated: bool) -> None:
    """The header of an extended WebP file (VP8X) is put before a still image."""
    still = write_image(tmp_path / "still.webp", numbered_image(1)).read_bytes()
    extended = (
        b"VP8X" + struct.pack("<I", 10) + bytes([2 * is_animated, 0, 0, 0, 63, 0, 0, 47, 0, 0])
    )
    body = b"WEBP" + extended + still[12:]
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert is_animated_webp(tmp_path / "a.webp") is is_animated
    assert not is_animated_webp(tmp_path / "still.webp")
