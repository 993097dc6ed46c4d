"""The values that travel through the SDK: a frame in, faces and affect out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES, LANDMARK_COUNT

FloatArray = NDArray[np.float32]
IdArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class PixelFormat(str, Enum):
    """How the pixels of a frame lie in memory."""

    BGR = "BGR"  # uint8 [H, W, 3]
    RGB = "RGB"  # uint8 [H, W, 3]
    GRAY = "GRAY"  # uint8 [H, W]
    # uint8 [H * 3 / 2, W]: H rows of luma, then H / 2 rows of interleaved chroma (BT.601, video
    # range)
    NV12 = "NV12"


@dataclass(frozen=True, slots=True)
class Frame:
    """One image as its source delivered it; nothing is converted before the crop kernel reads it.

    `pixels` may be a view with padded rows. `time_s` is the presentation time in seconds from
    the start of the source, `index` counts the frames of the source from 0, `source` names the
    file or device that it came from.
    """

    pixels: NDArray[np.uint8]
    layout: PixelFormat = PixelFormat.BGR
    time_s: float = 0.0
    index: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        shape, wanted = self.pixels.shape, _WANTED_SHAPE[self.layout]
        ndim = 3 if self.layout in (PixelFormat.BGR, PixelFormat.RGB) else 2
        if self.pixels.dtype != np.uint8 or len(shape) != ndim or (ndim == 3 and shape[2] != 3):
            raise ValueError(
                f"frame must be uint8 {wanted} for layout {self.layout.value}, got {self.pixels.dtype} {shape}"
            )
        if self.layout is PixelFormat.NV12 and (shape[0] % 3 or shape[1] % 2):
            raise ValueError(
                f"frame must be uint8 {wanted} with even H and W for layout NV12, got {shape}"
            )
        if 0 in shape:
            raise ValueError(f"frame must hold at least one pixel, got shape {shape}")
        if not math.isfinite(self.time_s):
            raise ValueError(f"frame time_s must be a finite number of seconds, got {self.time_s}")

    @property
    def height_px(self) -> int:
        rows = int(self.pixels.shape[0])
        return rows * 2 // 3 if self.layout is PixelFormat.NV12 else rows

    @property
    def width_px(self) -> int:
        return int(self.pixels.shape[1])


_WANTED_SHAPE = {
    PixelFormat.BGR: "[H, W, 3]",
    PixelFormat.RGB: "[H, W, 3]",
    PixelFormat.GRAY: "[H, W]",
    PixelFormat.NV12: "[H * 3 / 2, W]",
}


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Which frame a row belongs to: a `Frame` without its pixels."""

    source: str = ""
    index: int = 0
    time_s: float = 0.0


def _rows(count: int, *shape: int) -> FloatArray:
    return np.zeros((count, *shape), np.float32)


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one frame; row i of every array is the same face. No face is N = 0, not a
    special case.

    Coordinates are pixels of the frame, (0, 0) at the center of its first pixel. `score` is the
    probability that this is a face, `quality` the share (0 to 1) to which its read-outs can be
    trusted, `pose_deg` yaw, pitch, roll: yaw is positive when the subject turns to the right of
    the image, pitch when the face looks up, roll when the head leans clockwise in the image.
    """

    box_xyxy: FloatArray = field(default_factory=lambda: _rows(0, 4))  # [N, 4]
    landmarks_xy: FloatArray = field(
        default_factory=lambda: _rows(0, LANDMARK_COUNT, 2)
    )  # [N, 68, 2]
    track_id: IdArray = field(default_factory=lambda: np.zeros(0, np.int64))  # [N]
    score: FloatArray = field(default_factory=lambda: _rows(0))  # [N]
    quality: FloatArray = field(default_factory=lambda: _rows(0))  # [N]
    pose_deg: FloatArray = field(default_factory=lambda: _rows(0, 3))  # [N, 3]

    def __len__(self) -> int:
        return len(self.track_id)


@dataclass(frozen=True, slots=True)
class Affect:
    """What the faces show, row for row with `Faces`: probabilities and values in [-1, 1], never
    logits.

    Of what the model does not read (a head that it lacks, see `ModelSpec.heads`) all values are
    NaN and no AU is on.
    """

    au_probability: FloatArray  # [N, 12], order of labels.AU_NAMES
    # [N, 12], decided with the thresholds of the model's spec (`decode.hold` where smoothed)
    au_active: BoolArray
    expression_probability: FloatArray  # [N, 7], order of labels.EXPRESSION_NAMES
    valence: FloatArray  # [N]
    arousal: FloatArray  # [N]

    def __len__(self) -> int:
        return len(self.valence)

    def top_expression(self) -> list[str]:
        """The most probable expression of each face; empty where the model reads none."""
        if not len(self):
            return []
        best = np.where(
            np.isfinite(self.expression_probability).all(axis=1),
            self.expression_probability.argmax(axis=1),
            -1,
        )
        return [EXPRESSION_NAMES[place] if place >= 0 else "" for place in best.tolist()]
