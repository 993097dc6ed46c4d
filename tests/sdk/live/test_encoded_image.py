"""Declared sizes against OpenCV's and Pillow's own; what is refused."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from faceaffect.live.encoded_image import (
    RefusedImageError,
    declared_size,
    decode_image,
    raw_frame,
)
from faceaffect.live.settings import Limits
from faceaffect.types import PixelFormat

LIMITS = Limits(image_bytes=200_000, image_pixels=100_000)
SIZES = [(1, 1), (17, 3), (320, 240)]


def encode(width: int, height: int, kind: str, **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"icc_profile": b"x" * 3000, "comment": b"c" * 500}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"icc_profile": b"x" * 300}),
    ],
)
def test_size_in_the_header_is_the_size_of_the_image(
    width: int, height: int, kind: str, options: dict[str, object]
) -> None:
    content = encode(width, height, kind, **options)
    assert declared_size(content) == (width, height)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0\x00\x10",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF0000WEBP",
    ],
)
def test_what_has_no_size_is_refused(content: bytes) -> None:
    assert declared_size(content) is None
    with pytest.raises(RefusedImageError) as caught:
        decode_image(content, LIMITS)
    assert caught.value.code == "unsupported_image"


def test_pixels_are_those_of_opencv() -> None:
    content = encode(64, 48, "PNG")
    frame = decode_image(content, LIMITS)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert frame.pixel_format is PixelFormat.BGR
    np.testing.assert_array_equal(frame.pixels, expected)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG of some bytes that declares 60000 x 60000 pixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    content += struct.pack(">I", zlib.crc32(chunk))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(RefusedImageError) as caught:
        decode_image(content, LIMITS)
    assert caught.value.code == "image_too_large"


def test_a_large_file_and_a_cut_off_one_are_refused() -> None:
    with pytest.raises(RefusedImageError) as caught:
        decode_image(encode(300, 300, "PNG"), LIMITS)
    assert caught.value.code == "image_too_large"
    with pytest.raises(RefusedImageError) as caught:
        decode_image(encode(64, 48, "PNG")[:200], LIMITS)
    assert caught.value.code == "broken_image"


def test_raw_pixels_must_fit_their_size() -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8)
    frame = raw_frame(pixels.tobytes(), 6, 4, "RGB", LIMITS)
    np.testing.assert_array_equal(frame.pixels, pixels.reshape(4, 6, 3))
    assert raw_frame(bytes(36), 6, 4, "NV12", LIMITS).height_px == 4
    for arguments, code in [
        ((b"12", 6, 4, "RGB"), "broken_image"),
        ((bytes(27), 6, 3, "NV12"), "broken_image"),
        ((b"", 6, 4, "YUYV"), "unsupported_image"),
        ((b"", 1000, 1000, "RGB"), "image_too_large"),
        ((b"", -1, -1, "GRAY"), "image_too_large"),
    ]:
        with pytest.raises(RefusedImageError) as caught:
            raw_frame(*arguments, LIMITS)
        assert caught.value.code == code, arguments
