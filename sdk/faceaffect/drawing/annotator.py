"""Faces and what they show, drawn onto a copy of their frame."""

from __future__ import annotations

import cv2
import numpy as np

from faceaffect.drawing.label_placement import Box, place_label
from faceaffect.drawing.score_panel import (
    PANEL_WIDTH_PX,
    WHITE,
    Canvas,
    Color,
    darken,
    draw_score_panel,
    put_text,
    text_width_px,
)
from faceaffect.labels import AU_NAMES
from faceaffect.types import Affect, Faces, FloatArray, Frame, PixelFormat

_COLORS: tuple[Color, ...] = (
    (90, 220, 90),
    (60, 190, 255),
    (255, 180, 60),
    (220, 100, 230),
    (80, 130, 255),
    (230, 230, 90),
)
_WANTED_LINES_PX = 360  # smaller images are enlarged until text fits
_LONGEST_ENLARGED_PX = 1920
_NARROW = 1.3  # width / height under which no room is left beside a face
_LINE_PX = 13
_SMALLEST_TEXT_SCALE = 0.9


class FaceAnnotator:
    """One face gets a panel with every score, several get a short label each.

    Wide frames carry the panel on the side away from the face; narrow ones (portraits, face
    crops) are widened by it. The size of the result depends on the frame's size only, so the
    frames of a video stay equal.
    """

    def __init__(self, au_thresholds: tuple[float, ...] = (0.5,) * len(AU_NAMES)) -> None:
        self._thresholds = au_thresholds
        self._is_panel_right = True

    def draw(self, frame: Frame, faces: Faces, affect: Affect) -> Canvas:
        """A new BGR image [H, W, 3]."""
        image, enlarged = _enlarged(_bgr_copy(frame))
        height, width = image.shape[:2]
        scale = height / _WANTED_LINES_PX
        panel_width = round(PANEL_WIDTH_PX * scale)
        is_narrow = width < _NARROW * height
        if is_narrow:
            image = np.concatenate([image, np.zeros((height, panel_width, 3), np.uint8)], axis=1)
        boxes = (faces.box_xyxy + 0.5) * enlarged - 0.5
        points = (faces.landmarks_xy + 0.5) * enlarged - 0.5
        for i in range(len(faces)):
            _draw_face(image, boxes[i], points[i], int(faces.track_id[i]), scale)
        if len(faces) == 1:
            left = width if is_narrow else self._panel_left_px(boxes[0], width, panel_width)
            draw_score_panel(image, left, scale, affect, self._thresholds)
        taken: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]
        for i in range(len(faces)):
            lines = _label(i, faces, affect) if len(faces) > 1 else [f"#{int(faces.track_id[0])}"]
            _draw_label(image, taken[i], lines, scale, taken)
        return image

    def _panel_left_px(self, box_xyxy: FloatArray, width: int, panel_width: int) -> int:
        """The panel changes sides only when the other one is clearly freer: a jumping panel cannot
        be read.
        """
        hidden_right = max(0.0, float(box_xyxy[2]) - (width - panel_width))
        hidden_left = max(0.0, panel_width - float(box_xyxy[0]))
        if self._is_panel_right and hidden_right > hidden_left + 0.1 * panel_width:
            self._is_panel_right = False
        elif not self._is_panel_right and hidden_left > hidden_right + 0.1 * panel_width:
            self._is_panel_right = True
        return width - panel_width if self._is_panel_right else 0


def _bgr_copy(frame: Frame) -> Canvas:
    codes = {
        PixelFormat.RGB: cv2.COLOR_RGB2BGR,
        PixelFormat.GRAY: cv2.COLOR_GRAY2BGR,
        PixelFormat.NV12: cv2.COLOR_YUV2BGR_NV12,
    }
    pixels = np.ascontiguousarray(frame.pixels)
    if frame.layout is PixelFormat.BGR:
        return np.array(pixels)
    return np.asarray(cv2.cvtColor(pixels, codes[frame.layout]), np.uint8)


def _enlarged(image: Canvas) -> tuple[Canvas, int]:
    """Small images by a whole factor, so that text has room."""
    height, width = image.shape[:2]
    factor = max(1, min(-(-_WANTED_LINES_PX // height), _LONGEST_ENLARGED_PX // max(height, width)))
    if height >= 0.75 * _WANTED_LINES_PX or factor == 1:
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
        cv2.circle(
            image, (round(float(x)), round(float(y))), radius, color, cv2.FILLED, cv2.LINE_AA
        )


def _label(i: int, faces: Faces, affect: Affect) -> list[str]:
    """What the model does not read is left out."""
    expression = affect.top_expression()[i]
    on = [name for name, is_on in zip(AU_NAMES, affect.au_active[i], strict=True) if is_on]
    lines = [f"#{int(faces.track_id[i])}"]
    if expression:
        lines[0] += f" {expression} {affect.expression_probability[i].max():.0%}"
    if np.isfinite(affect.valence[i]):
        lines.append(f"V {affect.valence[i]:+.2f} A {affect.arousal[i]:+.2f}")
    if on:
        lines.append("AU " + " ".join(name[2:] for name in on))
    return lines


def _draw_label(image: Canvas, face: Box, lines: list[str], scale: float, taken: list[Box]) -> None:
    """Letters fit the face's width where that leaves them legible; the place joins `taken`."""
    widest = max(text_width_px(line, 1.0) for line in lines) + 8
    scale = min(scale, max((face[2] - face[0]) / widest, _SMALLEST_TEXT_SCALE, 0.5 * scale))
    size_px = (round(widest * scale), round((_LINE_PX * len(lines) + 4) * scale))
    place = place_label(face, size_px, (image.shape[1], image.shape[0]), taken)
    taken.append(place)
    left, top, right, bottom = (round(edge) for edge in place)
    darken(image, (left, top, right, bottom), 0.4)
    for row, line in enumerate(lines):
        put_text(
            image, line, (left + 4 * scale, top + (_LINE_PX * (row + 1)) * scale), scale, WHITE
        )
