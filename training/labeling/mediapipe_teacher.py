"""MediaPipe Face Landmarker as a teacher (LiteRT): 478 points, 52 blendshapes, a presence score."""

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

# fmt: off
LANDMARKS_68: Final = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)
"""Indices among the 478 points of the 68 landmarks, in the usual order."""
# fmt: on


@dataclass(frozen=True, slots=True)
class Roi:
    """Rotated square region of an image, the input of the teacher."""

    center_xy: tuple[float, float]
    size_px: float
    angle_rad: float = 0.0

    def to_input(self) -> NDArray[np.float32]:
        """Returns the transform [2, 3] from image to input; pixel centers are integers."""
        scale = INPUT_PX / self.size_px
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        x, y = self.center_xy
        center = (INPUT_PX - 1) / 2
        return np.array(
            [[cos, sin, center - cos * x - sin * y], [-sin, cos, center + sin * x - cos * y]],
            np.float32,
        )


@dataclass(frozen=True, slots=True)
class LandmarkerOutputs:
    """Outputs for one face, in pixels of the image."""

    points_xyz: NDArray[np.float32]  # [478, 3], z in the same unit, negative towards the camera
    blendshapes: NDArray[np.float32]  # [52], order of blendshape_order.json
    presence: float


def roi_from_points(points_xy: NDArray[np.float32]) -> Roi:
    """Returns the roll-aligned square around known points, as in MediaPipe's tracking."""
    right, left = points_xy[EYE_CORNERS[0]], points_xy[EYE_CORNERS[1]]
    angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    rotation = np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32
    )
    level = points_xy @ rotation.T
    low, high = level.min(axis=0), level.max(axis=0)
    center = rotation.T @ ((low + high) / 2)
    return Roi((float(center[0]), float(center[1])), float((high - low).max()) * ROI_MARGIN, angle)


class MediaPipeTeacher:
    """Runs the landmark and blendshape networks. Create one object per process."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._landmarks = _open(folder / "face_landmarks_detector.tflite", threads)
        self._blendshapes = _open(folder / "face_blendshapes.tflite", threads)
        self._subset = json.loads(
            (folder / "blendshape_input_landmarks.json").read_text(encoding="utf-8")
        )
        self.blendshape_names = tuple(
            json.loads((folder / "blendshape_order.json").read_text(encoding="utf-8"))
        )

    def predict(self, rgb: NDArray[np.uint8], roi: Roi) -> LandmarkerOutputs:
        """Runs the networks on a region of an RGB image [H, W, 3]."""
        image_to_input = roi.to_input()
        mode = cv2.INTER_AREA if roi.size_px > INPUT_PX else cv2.INTER_LINEAR
        crop: NDArray[Any] = cv2.warpAffine(
            rgb, image_to_input, (INPUT_PX, INPUT_PX), flags=mode, borderMode=cv2.BORDER_REPLICATE
        )
        raw, presence = _run(self._landmarks, crop[None].astype(np.float32) / 255)[:2]
        points = raw.reshape(POINT_COUNT, 3)
        input_to_image = cv2.invertAffineTransform(image_to_input)
        image_xy = points[:, :2] @ input_to_image[:, :2].T + input_to_image[:, 2]
        depth = points[:, 2:] * (roi.size_px / INPUT_PX)
        # The blendshape network expects points of the roll-aligned region: its outputs change with
        # rotation.
        shapes = _run(self._blendshapes, points[self._subset, :2][None])[0].reshape(-1)
        score = 1 / (1 + np.exp(-float(presence.ravel()[0])))
        return LandmarkerOutputs(
            np.concatenate([image_xy, depth], axis=1).astype(np.float32), shapes, score
        )

    def predict_refined(self, rgb: NDArray[np.uint8], roi: Roi) -> LandmarkerOutputs:
        """Runs the networks, then again on the region around the first points if any."""
        first = self.predict(rgb, roi)
        if first.presence < 0.1:
            return first
        return self.predict(rgb, roi_from_points(first.points_xyz[:, :2]))


def _open(path: Path, threads: int) -> Any:
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def _run(interpreter: Any, value: NDArray[np.floating[Any]]) -> list[NDArray[np.float32]]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value.astype(np.float32))
    interpreter.invoke()
    return [
        interpreter.get_tensor(detail["index"]).copy()
        for detail in interpreter.get_output_details()
    ]
