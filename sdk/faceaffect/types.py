"""Data types of the SDK: `Frame` in, `Faces` and `Affect` out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES, LANDMARK_COUNT

FloatArray = NDArray[np.float32]
IdArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Chroma = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""U and V."""
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Y, U and V."""

DEFAULT_FRAME_INTERVAL_S: Final[float] = 1 / 30
"""Assumed between two frames whose time stamps do not increase."""


class PixelFormat(str, Enum):
    """Color format and memory layout of the pixels of a frame.

    Examples:
        >>> import faceaffect as fa
        >>> fa.PixelFormat("RGB")
        <PixelFormat.RGB: 'RGB'>
    """

    BGR = "BGR"  # uint8 [H, W, 3]
    RGB = "RGB"  # uint8 [H, W, 3]
    GRAY = "GRAY"  # uint8 [H, W]
    # uint8 [H * 3 / 2, W]: H rows of luma, then H / 2 rows of interleaved chroma.
    NV12 = "NV12"
    # uint8 [H, W] of luma; U and V, half as wide and high (rounded up), are `Frame.chroma`.
    I420 = "I420"

    @property
    def is_color(self) -> bool:
        """Whether a pixel is three adjacent bytes."""
        return self in (PixelFormat.BGR, PixelFormat.RGB)

    @property
    def is_yuv(self) -> bool:
        """Whether `Frame.color` applies."""
        return self in (PixelFormat.NV12, PixelFormat.I420)


YuvCoefficients = tuple[float, float, float, float, float, float]
"""Luma offset and scale, V to red, U to green, V to green, U to blue, for pixels of 0 to 255."""


class YuvColor(Enum):
    """How luma and chroma of a frame become RGB.

    Members are named by the matrix (ITU-R BT.601, BT.709, or BT.2020 with non-constant luminance);
    those without `_FULL` are in video range: luma 16 to 235, chroma 16 to 240.

    Examples:
        >>> import faceaffect as fa
        >>> fa.YuvColor.BT709.coefficients[0], fa.YuvColor.BT709_FULL.coefficients[0]
        (16.0, 0.0)
    """

    BT601 = (0.299, 0.114, False)
    BT709 = (0.2126, 0.0722, False)
    BT2020 = (0.2627, 0.0593, False)
    BT601_FULL = (0.299, 0.114, True)
    BT709_FULL = (0.2126, 0.0722, True)
    BT2020_FULL = (0.2627, 0.0593, True)

    def __init__(self, red: float, blue: float, is_full_range: bool) -> None:
        """Compute the coefficients.

        Args:
            red: Weight of red in luma.
            blue: Weight of blue in luma.
            is_full_range: Whether luma and chroma use all of 0 to 255.
        """
        green = 1 - red - blue
        luma_scale = 1.0 if is_full_range else 255 / 219
        chroma_scale = 1.0 if is_full_range else 255 / 224
        self.coefficients: YuvCoefficients = (
            0.0 if is_full_range else 16.0,
            luma_scale,
            2 * (1 - red) * chroma_scale,
            -2 * (1 - blue) * blue / green * chroma_scale,
            -2 * (1 - red) * red / green * chroma_scale,
            2 * (1 - blue) * chroma_scale,
        )

    @property
    def luma_scale(self) -> float:
        """Gray levels of 0 to 255 per step of luma."""
        return self.coefficients[1]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image as its source delivered it; nothing is converted before the crop kernel reads it.

    Attributes:
        pixels: uint8 array, shape by `pixel_format`; may be a view with padded rows.
        pixel_format: Pixel format of `pixels`.
        time_s: Presentation time, seconds from the start of the source.
        index: Number of the frame in the source, from 0.
        source: Name of the file or device.
        chroma: U and V [(H + 1) // 2, (W + 1) // 2] of an I420 frame, as views with the same row
            stride; None otherwise.
        color: Color matrix and range of a NV12 or I420 frame.

    Raises:
        ValueError: `pixels` or `chroma` does not fit `pixel_format`, or `time_s` is not finite.

    Examples:
        >>> import numpy as np
        >>> import faceaffect as fa
        >>> frame = fa.Frame(np.zeros((480, 640, 3), np.uint8), fa.PixelFormat.RGB, time_s=0.5)
        >>> frame.width_px, frame.height_px
        (640, 480)
    """

    pixels: NDArray[np.uint8]
    pixel_format: PixelFormat = PixelFormat.BGR
    time_s: float = 0.0
    index: int = 0
    source: str = ""
    chroma: Chroma | None = None
    color: YuvColor = YuvColor.BT601

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        expected = _SHAPES[self.pixel_format]
        ndim = 3 if self.pixel_format.is_color else 2
        if self.pixels.dtype != np.uint8 or len(shape) != ndim or (ndim == 3 and shape[2] != 3):
            raise ValueError(
                f"frame must be uint8 {expected} for pixel format {self.pixel_format.value}, "
                f"got {self.pixels.dtype} {shape}"
            )
        if self.pixel_format is PixelFormat.NV12 and (shape[0] % 3 or shape[1] % 2):
            raise ValueError(
                f"frame must be uint8 {expected} with even H and W for NV12, got {shape}"
            )
        if 0 in shape:
            raise ValueError(f"frame must hold at least one pixel, got shape {shape}")
        if self.chroma is not None or self.pixel_format is PixelFormat.I420:
            _check_chroma(self)
        if not math.isfinite(self.time_s):
            raise ValueError(f"frame time_s must be a finite number of seconds, got {self.time_s}")

    @property
    def planes(self) -> NDArray[np.uint8] | Planes:
        """`pixels`, for I420 with both planes of chroma: (Y, U, V)."""
        return self.pixels if self.chroma is None else (self.pixels, *self.chroma)

    @property
    def height_px(self) -> int:
        """Height of the image, in pixels."""
        rows = int(self.pixels.shape[0])
        return rows * 2 // 3 if self.pixel_format is PixelFormat.NV12 else rows

    @property
    def width_px(self) -> int:
        """Width of the image, in pixels."""
        return int(self.pixels.shape[1])


_SHAPES = {
    PixelFormat.BGR: "[H, W, 3]",
    PixelFormat.RGB: "[H, W, 3]",
    PixelFormat.GRAY: "[H, W]",
    PixelFormat.NV12: "[H * 3 / 2, W]",
    PixelFormat.I420: "[H, W]",
}


def _check_chroma(frame: Frame) -> None:
    """Raise ValueError unless `chroma` fits the format and size of a frame."""
    if frame.pixel_format is not PixelFormat.I420:
        raise ValueError(
            f"frame must have chroma None for pixel format {frame.pixel_format.value}, got planes; "
            "pass PixelFormat.I420"
        )
    height, width = frame.pixels.shape
    shape = ((height + 1) // 2, (width + 1) // 2)
    planes = frame.chroma or ()
    got = [(str(plane.dtype), plane.shape, plane.strides) for plane in planes]
    if len(got) != 2 or got[0] != got[1] or got[0][:2] != ("uint8", shape):
        raise ValueError(
            f"frame must have chroma (U, V), each uint8 {list(shape)} with the same strides, for "
            f"pixel format I420, got {got or None}"
        )


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Which frame a row belongs to: a `Frame` without its pixels.

    Examples:
        >>> import faceaffect as fa
        >>> fa.FrameInfo("clip.mp4", index=3, time_s=0.1).index
        3
    """

    source: str = ""
    index: int = 0
    time_s: float = 0.0


def _rows(count: int, *shape: int) -> FloatArray:
    return np.zeros((count, *shape), np.float32)


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of one frame; row i of every array is the same face, N = 0 where there is none.

    Coordinates are pixels of the frame, (0, 0) at the center of its first pixel.

    Attributes:
        box_xyxy: Left, top, right, bottom.
        landmarks_xy: 68 landmarks in the order of `labels.LANDMARK_COUNT`.
        track_id: Number of the face, the same from frame to frame.
        face_score: Probability that this is a face.
        quality: How far the outputs of the face can be trusted, 0 to 1.
        pose_deg: Yaw, pitch, roll. Yaw is positive when the subject turns to the right of the
            image, pitch when the face looks up, roll when the head leans clockwise in the image.

    Examples:
        >>> import faceaffect as fa
        >>> faces = fa.analyze("clip.mp4").faces
        >>> faces.box_xyxy.shape, faces.landmarks_xy.shape
        ((60, 4), (60, 68, 2))
    """

    box_xyxy: FloatArray = field(default_factory=lambda: _rows(0, 4))  # [N, 4]
    landmarks_xy: FloatArray = field(
        default_factory=lambda: _rows(0, LANDMARK_COUNT, 2)
    )  # [N, 68, 2]
    track_id: IdArray = field(default_factory=lambda: np.zeros(0, np.int64))  # [N]
    face_score: FloatArray = field(default_factory=lambda: _rows(0))  # [N]
    quality: FloatArray = field(default_factory=lambda: _rows(0))  # [N]
    pose_deg: FloatArray = field(default_factory=lambda: _rows(0, 3))  # [N, 3]

    def __len__(self) -> int:
        return len(self.track_id)


@dataclass(frozen=True, slots=True)
class Affect:
    """Affect of the faces of one frame, row for row with `Faces`.

    Outputs of a head that the model lacks (see `ModelSpec.heads`), and all outputs of a face below
    the least quality that was asked for, are NaN, and no AU is active.

    Attributes:
        au_probability: Probability of each action unit, in the order of `labels.AU_NAMES`.
        au_active: AU decisions by the thresholds of the model, with hysteresis where smoothed.
        expression_probability: In the order of `labels.EXPRESSION_NAMES`.
        valence: -1 (unpleasant) to 1 (pleasant).
        arousal: -1 (calm) to 1 (excited).
        au_intensity: Intensity of each action unit, 0 to 5: a monotone function of its
            probability, so that `au_active` is a threshold on it. 1 to 5 stand for the letters A
            (trace) to E (maximum) of FACS. NaN unless the model has `ModelSpec.au_intensity`.

    Examples:
        >>> import faceaffect as fa
        >>> affect = fa.analyze("clip.mp4").affect
        >>> affect.au_active[:, fa.AU_NAMES.index("AU12")].any()
        np.True_
        >>> affect.top_expression()[-1]
        'happiness'
    """

    au_probability: FloatArray  # [N, 12]
    au_active: BoolArray  # [N, 12]
    expression_probability: FloatArray  # [N, 7]
    valence: FloatArray  # [N]
    arousal: FloatArray  # [N]
    au_intensity: FloatArray = field(default_factory=lambda: _rows(0, len(AU_NAMES)))  # [N, 12]

    def __post_init__(self) -> None:
        if len(self.au_intensity) != len(self.valence):
            unknown = np.full((len(self.valence), len(AU_NAMES)), np.nan, np.float32)
            object.__setattr__(self, "au_intensity", unknown)

    def __len__(self) -> int:
        return len(self.valence)

    def top_expression(self) -> list[str]:
        """Most probable expression of each face; empty strings if the model predicts none."""
        if not len(self):
            return []
        best = np.where(
            np.isfinite(self.expression_probability).all(axis=1),
            self.expression_probability.argmax(axis=1),
            -1,
        )
        return [EXPRESSION_NAMES[index] if index >= 0 else "" for index in best.tolist()]
