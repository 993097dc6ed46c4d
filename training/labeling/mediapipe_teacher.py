"""The MediaPipe face landmarker as a teacher, run with LiteRT: 478 points, 52 blendshapes, a
presence score.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

INPUT_PX: Final = 256
POINT_COUNT: Final = 478
ROI_MARGIN: Final = 1.5
EYE_CORNERS: Final = (33, 263)  # outer corners, right and left eye

LANDMARKS_68: Final = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Which of the 478 points stand for the 68, in the usual order."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A turned square in an image: what the teacher looks at."""

    center_xy: tuple[float, float]
    size_px: float
    angle_rad: float = 0.0

    def to_input(self) -> NDArray[np.float32]:
        """Map [2, 3] from image to teacher input; pixel centers have whole coordinates."""
        scale = INPUT_PX / self.size_px
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        x, y = self.center_xy
        middle = (INPUT_PX - 1) / 2
        return np.array(
            [[cos, sin, middle - cos * x - sin * y], [-sin, cos, middle + sin * x - cos * y]],
            np.float32,
        )


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """What the teacher said of one face, in pixels of the image."""

    points_xyz: NDArray[np.float32]  # [478, 3], z in the same unit, towards the camera negative
    blendshapes: NDArray[np.float32]  # [52], order of blendshape_order.json
    presence: float


def roi_from_points(points_xy: NDArray[np.float32]) -> Roi:
    """The level square around known points, as the teacher's own tracker makes it."""
    right, left = points_xy[EYE_CORNERS[0]], points_xy[EYE_CORNERS[1]]
    angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    level = points_xy @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    center = turn.T @ ((low + high) / 2)
    return Roi((float(center[0]), float(center[1])), float((high - low).max()) * ROI_MARGIN, angle)


class MediapipeTeacher:
    """Holds the two interpreters; one object per process."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._landmarks = _open(folder / "face_landmarks_detector.tflite", threads)
        self._blendshapes = _open(folder / "face_blendshapes.tflite", threads)
        self._subset = json.loads(
            (folder / "blendshape_input_landmarks.json").read_text(encoding="utf-8")
        )
        self.blendshape_names = tuple(
            json.loads((folder / "blendshape_order.json").read_text(encoding="utf-8"))
        )

    def look(self, rgb: NDArray[np.uint8], roi: Roi) -> TeacherAnswer:
        """One look at a square of an RGB image [H, W, 3]."""
        image_to_input = roi.to_input()
        mode = cv2.INTER_AREA if roi.size_px > INPUT_PX else cv2.INTER_LINEAR
        crop = cv2.warpAffine(
            rgb, image_to_input, (INPUT_PX, INPUT_PX), flags=mode, borderMode=cv2.BORDER_REPLICATE
        )
        raw, presence = _run(self._landmarks, crop[None].astype(np.float32) / 255)[:2]
        points = raw.reshape(POINT_COUNT, 3)
        back = cv2.invertAffineTransform(image_to_input)
        flat = points[:, :2] @ back[:, :2].T + back[:, 2]
        depth = points[:, 2:] * (roi.size_px / INPUT_PX)
        # The blendshape network wants points of the level square: in the turned image its answers
        # change.
        shapes = _run(self._blendshapes, points[self._subset, :2][None])[0].reshape(-1)
        score = 1 / (1 + np.exp(-float(presence.ravel()[0])))
        return TeacherAnswer(
            np.concatenate([flat, depth], axis=1).astype(np.float32), shapes, score
        )

    def look_twice(self, rgb: NDArray[np.uint8], roi: Roi) -> TeacherAnswer:
        """A second look at the square around the first look's points, if there was a face."""
        first = self.look(rgb, roi)
        if first.presence < 0.1:
            return first
        return self.look(rgb, roi_from_points(first.points_xyz[:, :2]))


def _open(path: Path, threads: int) -> Any:
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def _run(interpreter: Any, value: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value.astype(np.float32))
    interpreter.invoke()
    return [
        interpreter.get_tensor(detail["index"]).copy()
        for detail in interpreter.get_output_details()
    ]
