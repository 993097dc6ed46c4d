"""Color matrix and range of decoded images, as FFmpeg numbers them."""

from __future__ import annotations

from typing import Any, Final

from faceaffect.types import YuvColor

UNSPECIFIED: Final = 2  # AVCOL_SPC_UNSPECIFIED
BT709: Final = 1  # AVCOL_SPC_BT709
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
_HD_LINES: Final = 720
_MATRICES: Final = {1: "BT709", 5: "BT601", 6: "BT601", 9: "BT2020"}
"""AVCOL_SPC_BT709, BT470BG, SMPTE170M and BT2020_NCL."""


def default_color(height_px: int) -> YuvColor:
    """Return the color of video in video range that names no matrix, as players assume it."""
    return YuvColor.BT709 if height_px >= _HD_LINES else YuvColor.BT601


def matrix_of(frame: Any) -> int:
    """Return FFmpeg's number of an image's color matrix, or of the default one."""
    matrix = int(frame.colorspace)
    is_unspecified = matrix == UNSPECIFIED and not frame.format.is_rgb
    is_hd = default_color(frame.height) is YuvColor.BT709
    return BT709 if is_unspecified and is_hd else matrix


def yuv_color(frame: Any) -> YuvColor | None:
    """Return the matrix and range of a YUV image; None if it is none of `YuvColor`."""
    matrix = matrix_of(frame)
    name = "BT601" if matrix == UNSPECIFIED else _MATRICES.get(matrix)
    if name is None:
        return None
    is_full = int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return YuvColor[f"{name}_FULL" if is_full else name]
