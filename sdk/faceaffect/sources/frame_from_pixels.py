"""Makes frames of what other libraries hold images in: NumPy arrays and PIL images."""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np

from faceaffect.errors import FaceAffectError
from faceaffect.sources.blend_alpha import blend_alpha
from faceaffect.types import Frame, PixelFormat

PixelFormatName = Literal["BGR", "RGB", "GRAY", "NV12"]


class InputError(FaceAffectError, TypeError):
    """An input of another type, shape or element type than the ones that can be analyzed.

    Examples:
        >>> import faceaffect as fa
        >>> try:
        ...     fa.analyze(3.5)
        ... except fa.InputError as error:
        ...     print(str(error).partition(";")[0])
        expected a path, address, image, list or iterator of frames, got float
    """


def is_pil_image(value: object) -> bool:
    """Whether `value` is a PIL image; Pillow is not imported for it."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def frame_from_pixels(
    value: Any,
    pixel_format: PixelFormat | PixelFormatName | None = None,
    *,
    time_s: float = 0.0,
    index: int = 0,
    source: str = "",
) -> Frame:
    """Make a frame of an array or a PIL image.

    Args:
        value: uint8 array [H, W, 3] or [H, W], or a PIL image, which is turned as its EXIF data
            says and blended over gray where it is transparent.
        pixel_format: Order of the channels of an array; by default BGR, as OpenCV reads images,
            and GRAY for arrays [H, W]. PIL images know their own.
        time_s: Presentation time.
        index: Number of the frame in its source.
        source: Name of the source.

    Raises:
        InputError: `value` is no such image.
    """
    if is_pil_image(value):
        pixels, known_format = _pil_pixels(value)
        return Frame(pixels, known_format, time_s, index, source)
    if not isinstance(value, np.ndarray):
        raise InputError(
            f"expected an image as a NumPy array or PIL image, got {type_name(value)};"
            f" {_array_remedy(value)}"
        )
    chosen = _format_of(value, pixel_format)
    try:
        return Frame(value, chosen, time_s, index, source)
    except ValueError as error:
        raise InputError(f"{error}; {_remedy(value)}") from None


def to_frame(value: Any, pixel_format: PixelFormat | PixelFormatName | None = None) -> Frame:
    """Return `value` itself if it is a `Frame` or `DeviceFrame`, else `frame_from_pixels`."""
    if isinstance(value, Frame) or hasattr(value, "gpu"):
        frame: Frame = value
        return frame
    return frame_from_pixels(value, pixel_format)


def type_name(value: object) -> str:
    """Return the name of the type of `value`, with its package unless it is built in."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"


def _format_of(
    array: np.ndarray[Any, Any], pixel_format: PixelFormat | PixelFormatName | None
) -> PixelFormat:
    if pixel_format is None:
        return PixelFormat.GRAY if array.ndim == 2 else PixelFormat.BGR
    try:
        chosen = PixelFormat(pixel_format)
    except ValueError:
        names = ", ".join(one.value for one in PixelFormat)
        raise InputError(
            f"expected pixel_format to be one of {names}, got {pixel_format!r}; OpenCV reads BGR,"
            " PIL and imageio read RGB"
        ) from None
    is_color = chosen in (PixelFormat.BGR, PixelFormat.RGB)
    return PixelFormat.GRAY if is_color and array.ndim == 2 else chosen


def _array_remedy(value: object) -> str:
    if hasattr(value, "detach"):
        return "pass tensor.permute(1, 2, 0).mul(255).byte().cpu().numpy(), or the path of the file"
    if hasattr(value, "__array__"):
        return "pass numpy.asarray(image)"
    return "read the image with cv2.imread or PIL.Image.open, or pass its path"


def _remedy(array: np.ndarray[Any, Any]) -> str:
    """Return how to turn an array that is no frame into one."""
    if array.dtype != np.uint8:
        if np.issubdtype(array.dtype, np.floating):
            return "scale it to 0 to 255 and convert it with image.astype(numpy.uint8)"
        return "convert it with image.astype(numpy.uint8)"
    if array.ndim == 4:
        return "pass list(array) for unrelated images, iter(array) for the frames of a video"
    if array.ndim == 3 and array.shape[2] == 4:
        return "drop the alpha channel with image[..., :3]"
    if array.ndim == 3 and array.shape[2] == 1:
        return "drop the last axis with image[..., 0]"
    if array.ndim == 3 and array.shape[0] in (1, 3):
        return "move the channels to the end with image.transpose(1, 2, 0)"
    return "pass an image [H, W, 3] or [H, W]"


def _pil_pixels(image: Any) -> tuple[np.ndarray[Any, Any], PixelFormat]:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode == "L":
        return np.array(upright, np.uint8), PixelFormat.GRAY
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        rgba = np.array(upright.convert("RGBA"), np.uint8)
        return blend_alpha(rgba), PixelFormat.RGB
    return np.array(upright.convert("RGB"), np.uint8), PixelFormat.RGB
