"""Draws faces and their scores onto a copy of their frame."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from faceaffect.drawing.label_placement import Box, place_label
from faceaffect.drawing.score_panel import (
    PANEL_WIDTH_PX,
    Canvas,
    Color,
    darken,
    draw_score_panel,
    put_text,
    text_width_px,
)
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.labels import AU_NAMES
from faceaffect.types import Affect, Faces, FloatArray, Frame

_COLORS: Final[tuple[Color, ...]] = (
    (90, 220, 90),
    (60, 190, 255),
    (255, 180, 60),
    (220, 100, 230),
    (80, 130, 255),
    (230, 230, 90),
)
_REFERENCE_HEIGHT_PX: Final = 360  # smaller images are enlarged until text fits
_MAX_ENLARGED_PX: Final = 1920
_NARROW_ASPECT: Final = 1.3  # width / height below which a panel does not fit beside a face
_LINE_PX: Final = 13
_MIN_TEXT_SCALE: Final = 0.9


class FaceAnnotator:
    """Draws a panel with every score if there is one face, a short label for each of several.

    Wide frames have the panel on the side away from the face; narrow ones (portraits, face crops)
    are widened by it. The size of the result depends on the frame's size only, so that it is
    constant over a video.

    Examples:
        >>> import faceaffect as fa
        >>> annotator = fa.FaceAnnotator()
        >>> image = next(iter(fa.stream("clip.mp4"))).draw(annotator=annotator)
        >>> image.shape, image.dtype.name
        ((360, 640, 3), 'uint8')
    """

    def __init__(self, au_thresholds: tuple[float, ...] = (0.5,) * len(AU_NAMES)) -> None:
        """Mark `au_thresholds` [12] on the AU bars."""
        self._thresholds = au_thresholds
        self._is_panel_right = True

    def draw(self, frame: Frame, faces: Faces, affect: Affect) -> Canvas:
        """Return an annotated copy of the frame, BGR [H, W, 3]."""
        image, factor = _enlarge(_bgr_copy(frame))
        height, width = image.shape[:2]
        scale = height / _REFERENCE_HEIGHT_PX
        panel_width = round(PANEL_WIDTH_PX * scale)
        is_narrow = width < _NARROW_ASPECT * height
        if is_narrow:
            image = np.concatenate([image, np.zeros((height, panel_width, 3), np.uint8)], axis=1)
        boxes = (faces.box_xyxy + 0.5) * factor - 0.5
        points = (faces.landmarks_xy + 0.5) * factor - 0.5
        for i in range(len(faces)):
            _draw_face(image, boxes[i], points[i], int(faces.track_id[i]), scale)
        if len(faces) == 1:
            left = width if is_narrow else self._panel_left_px(boxes[0], width, panel_width)
            draw_score_panel(image, left, scale, affect, self._thresholds)
        occupied: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]
        for i in range(len(faces)):
            lines = _label(i, faces, affect) if len(faces) > 1 else [f"#{int(faces.track_id[0])}"]
            _draw_label(image, occupied[i], lines, scale, occupied)
        return image

    def _panel_left_px(self, box_xyxy: FloatArray, width: int, panel_width: int) -> int:
        """Return the panel's left edge; it changes sides only if the face is clearly less occluded.

        A panel that jumps cannot be read.
        """
        occluded_right = max(0.0, float(box_xyxy[2]) - (width - panel_width))
        occluded_left = max(0.0, panel_width - float(box_xyxy[0]))
        if self._is_panel_right and occluded_right > occluded_left + 0.1 * panel_width:
            self._is_panel_right = False
        elif not self._is_panel_right and occluded_left > occluded_right + 0.1 * panel_width:
            self._is_panel_right = True
        return width - panel_width if self._is_panel_right else 0


def _bgr_copy(frame: Frame) -> Canvas:
    bgr = to_bgr(frame)
    return np.array(bgr) if bgr is frame.pixels else bgr


def _enlarge(image: Canvas) -> tuple[Canvas, int]:
    """Enlarge a small image by an integer factor so that text fits; return the factor too."""
    height, width = image.shape[:2]
    factor = max(1, min(-(-_REFERENCE_HEIGHT_PX // height), _MAX_ENLARGED_PX // max(height, width)))
    if height >= 0.75 * _REFERENCE_HEIGHT_PX or factor == 1:
        return image, 1
    return np.asarray(cv2.resize(image, (width * factor, height * factor)), np.uint8), factor


def _draw_face(
    image: Canvas, box_xyxy: FloatArray, points_xy: FloatArray, track_id: int, scale: float
) -> None:
    color = _COLORS[track_id % len(_COLORS)]
    x1, y1, x2, y2 = (round(float(edge)) for edge in box_xyxy)
    cv2.rectangle(image, (x1, y1), (x2, y2), color, max(1, round(1.5 * scale)), cv2.LINE_AA)
    radius = max(1, round(0.012 * (x2 - x1)))
    for x, y in points_xy:
        center = (round(float(x)), round(float(y)))
        cv2.circle(image, center, radius, color, cv2.FILLED, cv2.LINE_AA)


def _label(i: int, faces: Faces, affect: Affect) -> list[str]:
    """Return the lines of a label, without what the model does not predict."""
    expression = affect.top_expression()[i]
    active = [
        name for name, is_active in zip(AU_NAMES, affect.au_active[i], strict=True) if is_active
    ]
    lines = [f"#{int(faces.track_id[i])}"]
    if expression:
        lines[0] += f" {expression} {affect.expression_probability[i].max():.0%}"
    if np.isfinite(affect.valence[i]):
        lines.append(f"V {affect.valence[i]:+.2f} A {affect.arousal[i]:+.2f}")
    if active:
        lines.append("AU " + " ".join(name[2:] for name in active))
    return lines


def _draw_label(
    image: Canvas, face: Box, lines: list[str], scale: float, occupied: list[Box]
) -> None:
    """Draw a label as wide as the face where that is legible, and add its box to `occupied`."""
    widest = max(text_width_px(line, 1.0) for line in lines) + 8
    scale = min(scale, max((face[2] - face[0]) / widest, _MIN_TEXT_SCALE, 0.5 * scale))
    size_px = (round(widest * scale), round((_LINE_PX * len(lines) + 4) * scale))
    box = place_label(face, size_px, (image.shape[1], image.shape[0]), occupied)
    occupied.append(box)
    left, top, right, bottom = (round(edge) for edge in box)
    darken(image, (left, top, right, bottom), 0.4)
    for row, line in enumerate(lines):
        left_bottom = (left + 4 * scale, top + (_LINE_PX * (row + 1)) * scale)
        put_text(image, line, left_bottom, scale)
