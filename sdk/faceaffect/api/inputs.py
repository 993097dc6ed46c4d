"""Recognizes what a caller passes to `analyze`, and opens it as frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceaffect.sources.frame_from_pixels import (
    InputError,
    PixelFormatName,
    frame_from_pixels,
    is_pil_image,
    type_name,
)
from faceaffect.sources.open_source import is_live, open_source
from faceaffect.sources.source import Source, SourceError, SourceOptions
from faceaffect.types import Frame, PixelFormat

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    Pixels = np.ndarray[Any, Any] | PilImage | Frame
    SingleInput = str | PathLike[str] | Pixels
    Input = SingleInput | Iterable[SingleInput]

EXPECTED = "a path, address, image, list or iterator of frames"


@dataclass(frozen=True, slots=True)
class InputOptions:
    """How inputs are read.

    Attributes:
        pixel_format: Of arrays; see `frame_from_pixels`.
        fps: Frame rate of iterators of arrays, which have no times.
        source: How files are read.
    """

    pixel_format: PixelFormat | PixelFormatName | None = None
    fps: float = 30.0
    source: SourceOptions = field(default_factory=SourceOptions)


@dataclass(frozen=True, slots=True)
class OpenInput:
    """Frames of one input.

    Attributes:
        frames: To be read once.
        is_sequence: Whether they follow each other in time.
        count: Expected number of frames; None if unknown.
        source: What reads them, if it is a file.
    """

    frames: Iterable[Frame]
    is_sequence: bool
    count: int | None
    source: Source | None = None


def is_single(value: object) -> bool:
    """Whether `value` is one input by itself: a path, an address or an image."""
    return isinstance(value, (str, PathLike, np.ndarray, Frame)) or is_pil_image(value)


def check_input(value: object, number: int | None = None) -> None:
    """Raise InputError unless `value` is a path, an address or an image.

    Args:
        value: The input.
        number: Its position in a list, for the message.
    """
    where = "" if number is None else f" at position {number} of the list"
    if not is_single(value):
        raise InputError(
            f"expected {EXPECTED if number is None else 'a path, address or image'}{where},"
            f" got {type_name(value)}; {_remedy(value)}"
        )


def reject_live(value: object) -> None:
    """Raise SourceError if `value` is the address of a camera or stream."""
    if isinstance(value, (str, int)) and not isinstance(value, bool) and is_live(str(value)):
        raise SourceError(
            f"{value}: expected an input that ends, got a camera or stream; use"
            f" faceaffect.stream({value!r})"
        )


@contextmanager
def open_input(value: Any, options: InputOptions, name: str = "") -> Iterator[OpenInput]:
    """Open one input, or an iterator of frames.

    Args:
        value: The input.
        options: How to read it.
        name: Name of arrays and images that have none.

    Raises:
        SourceError: A file cannot be opened.
        InputError: An image cannot be analyzed.
    """
    if isinstance(value, (str, PathLike)):
        with open_source(_path_text(value), options.source) as source:
            yield OpenInput(source, source.is_sequence, source.frame_count, source)
    elif is_single(value):
        yield OpenInput([_single_frame(value, options, name)], False, 1)
    else:
        count = len(value) if hasattr(value, "__len__") else None
        yield OpenInput(_iterated_frames(value, options, name), True, count)


def _path_text(value: str | PathLike[str]) -> str | Path:
    path = fspath(value)
    return value if isinstance(value, (str, Path)) else path


def _single_frame(value: Any, options: InputOptions, name: str) -> Frame:
    if isinstance(value, Frame):
        return value
    name = getattr(value, "filename", "") or name
    return frame_from_pixels(value, options.pixel_format, source=str(name))


def _iterated_frames(values: Iterable[Any], options: InputOptions, name: str) -> Iterator[Frame]:
    for index, value in enumerate(values):
        if isinstance(value, Frame) or hasattr(value, "gpu"):
            yield value
        else:
            yield frame_from_pixels(
                value, options.pixel_format, time_s=index / options.fps, index=index, source=name
            )


def _remedy(value: object) -> str:
    if value is None:
        return "cv2.imread returns None for a file that it cannot read: check the path"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "decode it with cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR)"
    if hasattr(value, "detach"):
        return "pass tensor.permute(1, 2, 0).mul(255).byte().cpu().numpy() for [3, H, W] in 0 to 1"
    if isinstance(value, dict):
        return "pass list(images.values())"
    if hasattr(value, "__array__"):
        return "pass numpy.asarray(image)"
    if hasattr(value, "read") and hasattr(value, "isOpened"):
        return "pass the path that the capture was opened with"
    return "pass a path, or an image as a NumPy array [H, W, 3]"
