"""Decodes images that clients send, after a look at the size that they declare."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from faceaffect.errors import FaceAffectError
from faceaffect.live.settings import Limits
from faceaffect.sources.read_image import to_frame_pixels
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import Frame, PixelFormat

_JPEG: Final = b"\xff\xd8"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_BARE_MARKERS: Final = (0x01, *range(0xD0, 0xD8))  # without a length
_SIZE_MARKERS: Final = tuple(
    marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC)
)


class RefusedImageError(FaceAffectError, ValueError):
    """An image that is not analyzed.

    Attributes:
        code: `image_too_large`, `unsupported_image` or `broken_image`.
    """

    def __init__(self, code: str, message: str) -> None:
        """Refuse with a code for programs and a message for people."""
        super().__init__(message)
        self.code = code


def decode_image(content: bytes, limits: Limits) -> Frame:
    """Decode a JPEG, PNG or WebP image.

    Raises:
        RefusedImageError: It is none, is broken, or is larger than `limits` allow.
    """
    if len(content) > limits.image_bytes:
        raise RefusedImageError(
            "image_too_large",
            f"expected at most {limits.image_bytes} bytes, got {len(content)}; send it smaller",
        )
    size = declared_size(content)
    if size is None:
        raise RefusedImageError(
            "unsupported_image", "expected a JPEG, PNG or WebP image, got something else"
        )
    check_size(*size, limits)
    cv2 = import_opencv()
    try:
        flags = cv2.IMREAD_UNCHANGED if content.startswith(_PNG) else cv2.IMREAD_ANYCOLOR
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if pixels is None:
            raise RefusedImageError("broken_image", "the image cannot be decoded; send it again")
        # A declared size can be wrong: what was decoded counts.
        check_size(pixels.shape[1], pixels.shape[0], limits)
        array, pixel_format = to_frame_pixels(pixels)
    except cv2.error:
        raise RefusedImageError(
            "broken_image", "the image cannot be decoded; send it again"
        ) from None
    return Frame(array, pixel_format)


def raw_frame(content: bytes, width: int, height: int, name: str, limits: Limits) -> Frame:
    """Make a frame of raw pixels.

    Args:
        content: Pixels, row by row without padding.
        width: In pixels.
        height: In pixels.
        name: BGR, RGB, GRAY or NV12.
        limits: See `Limits`.

    Raises:
        RefusedImageError: They do not fit together.
    """
    check_size(width, height, limits)
    shapes = {
        "BGR": (height, width, 3),
        "RGB": (height, width, 3),
        "GRAY": (height, width),
        "NV12": (height * 3 // 2, width),
    }
    if name not in shapes:
        raise RefusedImageError(
            "unsupported_image", f"expected pixel_format to be one of {', '.join(shapes)}"
        )
    expected = int(np.prod(shapes[name]))
    if len(content) != expected:
        raise RefusedImageError(
            "broken_image", f"expected {expected} bytes of pixels, got {len(content)}"
        )
    try:
        return Frame(np.frombuffer(content, np.uint8).reshape(shapes[name]), PixelFormat(name))
    except ValueError as error:
        raise RefusedImageError("broken_image", str(error)) from None


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise RefusedImageError unless the size is within `limits`."""
    if width < 1 or height < 1 or width * height > limits.image_pixels:
        raise RefusedImageError(
            "image_too_large",
            f"expected 1 to {limits.image_pixels} pixels, got {width} x {height}; send it smaller",
        )


def declared_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height in the header of a JPEG, PNG or WebP image; None for others."""
    try:
        if content.startswith(_JPEG):
            return _jpeg_size(content)
        if content.startswith(_PNG):
            width, height = struct.unpack_from(">II", content, 16)
            return int(width), int(height)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp_size(content)
    except (struct.error, IndexError):
        pass
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    position = 2
    while content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _BARE_MARKERS:
            position += 2
            continue
        if marker in _SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", content, position + 5)
            return int(width), int(height)
        position += 2 + struct.unpack_from(">H", content, position + 2)[0]
    return None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(content[24:27], "little")
        return width, 1 + int.from_bytes(content[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return int(width) & 0x3FFF, int(height) & 0x3FFF
    return None
