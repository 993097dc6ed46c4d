"""Reads an image file as uint8 pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources.blend_alpha import blend_alpha
from faceaffect.sources.source import (
    SourceError,
    SourceOptions,
    check_pixel_count,
)
from faceaffect.system.import_opencv import (
    DEFAULT_MAX_IMAGE_PIXELS,
    MAX_PIXELS_VARIABLE,
    import_opencv,
)
from faceaffect.system.regular_file import read_regular
from faceaffect.types import PixelFormat

MAX_IMAGE_BYTES: Final[int] = 1 << 30
VIDEO_CODEC_SUFFIXES: Final = frozenset([".avif", ".heic", ".heif"])
"""Suffixes of images that are coded like a frame of video, so that FFmpeg reads them."""
_JPEG_START: Final = b"\xff\xd8"
_DEPTHS_BITS: Final = (8, 10, 12, 14, 16)
_STRIP_ROWS: Final = 64


def read_image(
    path: Path, max_pixels: int = DEFAULT_MAX_IMAGE_PIXELS
) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Read an image, rotated as its EXIF data says.

    Args:
        path: The file; links are followed, pipes and devices are refused.
        max_pixels: Larger images are refused, and those above the limit of the process
            (`import_opencv.MAX_PIXELS_VARIABLE`) before they are decoded.

    Returns:
        Pixels [H, W, 3] BGR or [H, W] GRAY and their format. More than 8 bits are reduced to 8,
        transparent pixels are blended with gray.

    Raises:
        SourceError: the file cannot be read or decoded, or is too large.
    """
    if path.suffix.lower() in VIDEO_CODEC_SUFFIXES:
        return _read_with_ffmpeg(path, max_pixels), PixelFormat.BGR
    content = read_image_bytes(path)
    cv2 = import_opencv()
    try:
        # One image at a time is held as it was decoded: up to 8 bytes a pixel.
        frame = None if content[:2] == _JPEG_START else _decode_transparent(content)
        if frame is None:
            encoded = np.frombuffer(content, np.uint8)
            pixels = cv2.imdecode(encoded, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
            if pixels is None:
                raise SourceError(
                    f"{path}: expected an image, got a file that cannot be decoded; "
                    "it may be damaged or no image"
                )
            frame = to_frame_pixels(pixels)
    except cv2.error as error:
        if "MAX_IMAGE" in str(error.err):
            limit = os.environ.get(MAX_PIXELS_VARIABLE)
            raise SourceError(
                f"{path}: expected at most {limit} pixels, got an image that declares more; "
                "raise --max-pixels if you trust the file"
            ) from None
        raise SourceError(
            f"{path}: expected an image, got a file that OpenCV refuses ({error.err}); convert it"
        ) from None
    check_pixel_count(str(path), frame[0].shape[1], frame[0].shape[0], max_pixels)
    return frame


def read_image_bytes(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        SourceError: it cannot be read, is no plain file, is empty, or is above `MAX_IMAGE_BYTES`.
    """
    try:
        content = read_regular(path, MAX_IMAGE_BYTES, follows_links=True)
    except OSError as error:
        raise SourceError(
            f"{path}: the image cannot be read ({error.strerror}); check the path"
        ) from None
    if not content:
        raise SourceError(f"{path}: expected an image, got an empty file (0 bytes); copy it again")
    return content


def _decode_transparent(content: bytes) -> tuple[NDArray[np.uint8], PixelFormat] | None:
    """Decode an image with transparent pixels; None if it has none."""
    cv2 = import_opencv()
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        return None
    to_8_bits = _depth_reducer(pixels)
    if all(to_8_bits(strip[..., 3]).min() == 255 for strip in _strips(pixels)):
        return None
    return to_frame_pixels(pixels)


def to_frame_pixels(pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Return decoded pixels [H, W], [H, W, 3] or [H, W, 4] as a frame has them.

    More than 8 bits are scaled to 8. Integers of 16 bits may hold 10, 12, 14 or 16: the smallest
    depth that holds the largest value counts. Floats are 0 to 1, or 0 to their largest value if
    that is more.
    """
    pixel_format = PixelFormat.BGR if pixels.ndim == 3 else PixelFormat.GRAY
    has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
    if pixels.dtype == np.uint8 and not has_alpha:
        return pixels, pixel_format
    shape = (*pixels.shape[:2], 3) if has_alpha else pixels.shape
    to_8_bits, reduced = _depth_reducer(pixels), np.empty(shape, np.uint8)
    for strip, output in zip(_strips(pixels), _strips(reduced), strict=True):
        output[...] = blend_alpha(to_8_bits(strip)) if has_alpha else to_8_bits(strip)
    return reduced, pixel_format


def _strips(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an image in pieces of some rows, so that intermediate results stay small."""
    for first in range(0, len(pixels), _STRIP_ROWS):
        yield pixels[first : first + _STRIP_ROWS]


def _depth_reducer(pixels: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """Return the function that scales pieces of an image to 8 bits."""
    if pixels.dtype == np.uint8:
        return lambda strip: strip
    if np.issubdtype(pixels.dtype, np.floating):
        highest = max(float(_finite(strip).max()) for strip in _strips(pixels))
        scale = 255 / max(1.0, highest)
        return lambda strip: np.rint(_finite(strip) * scale).astype(np.uint8)
    largest = max(int(strip.max()) for strip in _strips(pixels))
    bits = next((depth for depth in _DEPTHS_BITS if largest < 1 << depth), largest.bit_length())
    return lambda strip: (strip.clip(0) >> (bits - 8)).astype(np.uint8)


def _finite(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0).clip(0)


def _read_with_ffmpeg(path: Path, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image that is coded like video.

    Raises:
        SourceError: it cannot be decoded, or consists of tiles, which are not joined here.
    """
    from faceaffect.sources.media_container import open_file
    from faceaffect.sources.video_file import VideoFile

    container = open_file(path, SourceOptions())
    tiles = sum(
        stream.disposition.name is not None and "dependent" in stream.disposition.name
        for stream in container.streams.video
    )
    if tiles > 1:
        container.close()
        raise SourceError(
            f"{path}: expected one image, got {tiles} tiles, which are not joined here; "
            "convert it to .jpg"
        )
    with VideoFile(
        path, SourceOptions(prefetch_frames=1, max_pixels=max_pixels), container
    ) as source:
        return to_bgr(next(iter(source)))
