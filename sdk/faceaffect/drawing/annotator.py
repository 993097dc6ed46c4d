"""Draws faces and their scores onto a copy of their frame."""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

import cv2
import numpy as np

from faceaffect.drawing.canvas import SURFACE, TEXT, Canvas, Color, bgr, fill, paste
from faceaffect.drawing.face_cards import draw_face_cards
from faceaffect.drawing.face_marks import blur_face, draw_brackets, draw_contours
from faceaffect.drawing.label_placement import Box, place_label
from faceaffect.drawing.palette import ACTIVE_COLOR, EXPRESSION_COLORS, TRACK_COLORS
from faceaffect.drawing.score_panel import PANEL_HEIGHT_PX, PANEL_WIDTH_PX, draw_score_panel
from faceaffect.drawing.text import text_image
from faceaffect.drawing.va_square import TrailMemory
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect, Faces, FloatArray, Frame

OverlayStyle = Literal["panel", "minimal", "side-by-side"]
STYLES: Final[tuple[OverlayStyle, ...]] = get_args(OverlayStyle)

_REFERENCE_HEIGHT_PX: Final = 360  # smaller images are enlarged until text fits
_REFERENCE_WIDTH_PX: Final = 480
_MAX_ENLARGED_PX: Final = 1920
_SIZE_EXPONENT: Final = 0.8  # text of large frames is smaller in proportion
_LABEL_PX: Final = 9.5
_MAX_LABELED_AUS: Final = 4
_BLUR_HOLD_S: Final = 0.5


class FaceAnnotator:
    """Draws landmarks, brackets and a label on each face, and their scores beside the image.

    Nothing but labels covers the image, and those keep off faces where there is room: the panel of
    scores widens it. With one face the panel shows every score, with several a card for each. The
    size of the result depends on the frame's size only, so that it is constant over a video.

    Examples:
        >>> import numpy as np
        >>> import faceaffect as fa
        >>> frame = fa.Frame(np.zeros((360, 640, 3), np.uint8))
        >>> with fa.open_pipeline() as pipeline:
        ...     image = fa.FaceAnnotator().draw(frame, *pipeline.analyze(frame))
        >>> image.shape
        (360, 880, 3)
    """

    def __init__(
        self,
        au_thresholds: tuple[float, ...] = (0.5,) * len(AU_NAMES),
        *,
        style: OverlayStyle = "panel",
        blur_faces: bool = False,
    ) -> None:
        """Choose what is drawn.

        Args:
            au_thresholds: Thresholds [12] that the AU bars mark.
            style: `panel`; `minimal`, which has labels only and the size of the frame; or
                `side-by-side`, which is `panel` with the frame as it was on its left.
            blur_faces: Whether faces are made unrecognizable. A face that is lost stays blurred
                where it was for half a second; a face that is not found is not blurred.

        Raises:
            ValueError: There is no such style.
        """
        if style not in STYLES:
            raise ValueError(f"expected style to be one of {', '.join(STYLES)}, got {style!r}")
        self._thresholds = tuple(au_thresholds)
        self._style = style
        self._blur_faces = blur_faces
        self._trails = TrailMemory()
        self._blurred: list[tuple[float, FloatArray]] = []

    def draw(self, frame: Frame, faces: Faces, affect: Affect) -> Canvas:
        """Return an annotated copy of the frame, BGR [H, W, 3].

        Args:
            frame: The frame.
            faces: Its faces.
            affect: Their affect.
        """
        original, factor = _enlarge(to_bgr(frame))
        height, width = original.shape[:2]
        scale = _scale(width, height)
        boxes = (faces.box_xyxy + 0.5) * factor - 0.5
        points = (faces.landmarks_xy + 0.5) * factor - 0.5
        has_panel = self._style != "minimal"
        panel_px = round(PANEL_WIDTH_PX * scale) if has_panel else 0
        image = np.empty((height, width + panel_px, 3), np.uint8)
        image[:, :width] = original
        canvas = image[:, :width]
        if self._blur_faces:
            self._blur(canvas, frame.time_s, boxes)
        side = canvas.copy() if self._style == "side-by-side" else None
        self._draw_faces(canvas, (boxes, points), scale, faces, affect)
        if has_panel:
            self._draw_panel(image, width, scale, frame.time_s, (faces, affect))
        return image if side is None else np.concatenate([side, image], axis=1)

    def _draw_faces(
        self,
        canvas: Canvas,
        places: tuple[FloatArray, FloatArray],
        scale: float,
        faces: Faces,
        affect: Affect,
    ) -> None:
        boxes, points = places
        occupied: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]
        for i in range(len(faces)):
            if self._style != "minimal" and not self._blur_faces:
                draw_contours(canvas, points[i], scale)
            draw_brackets(canvas, boxes[i], _color(faces, i), scale)
        for i in range(len(faces)):
            parts = _label(i, faces, affect, has_aus=self._style == "minimal")
            _draw_label(canvas, occupied[i], parts, scale, occupied)

    def _draw_panel(
        self,
        image: Canvas,
        left_px: int,
        scale: float,
        time_s: float,
        results: tuple[Faces, Affect],
    ) -> None:
        faces, affect = results
        self._trails.forget_others(faces.track_id.tolist())
        trails = [
            self._trails.add(int(track_id), time_s, float(valence), float(arousal))
            for track_id, valence, arousal in zip(
                faces.track_id, affect.valence, affect.arousal, strict=True
            )
        ]
        if len(faces) > 1:
            draw_face_cards(image, left_px, scale, results, self._thresholds)
            return
        bottom = round(PANEL_HEIGHT_PX * scale)
        fill(image, left_px, bottom, image.shape[1], image.shape[0], SURFACE)
        trail = trails[0] if trails else []
        draw_score_panel(image, left_px, scale, results, self._thresholds, trail)

    def _blur(self, canvas: Canvas, time_s: float, boxes: FloatArray) -> None:
        """Blur the faces of this frame and, where they may be still, those of the last ones."""
        kept = [one for one in self._blurred if 0 <= time_s - one[0] <= _BLUR_HOLD_S]
        self._blurred = [*kept, *((time_s, box) for box in boxes)]
        for _, box in self._blurred:
            blur_face(canvas, box)


def _scale(width: int, height: int) -> float:
    """Return the size of text and panel; 1 is for an image of 360 lines."""
    by_height = math.pow(height / _REFERENCE_HEIGHT_PX, _SIZE_EXPONENT)
    wanted = min(by_height, width / _REFERENCE_WIDTH_PX)
    return min(max(wanted, 1.0), height / PANEL_HEIGHT_PX)


def _enlarge(image: Canvas) -> tuple[Canvas, int]:
    """Enlarge a small image by an integer factor so that text fits; return the factor too."""
    height, width = image.shape[:2]
    factor = max(1, min(-(-_REFERENCE_HEIGHT_PX // height), _MAX_ENLARGED_PX // max(height, width)))
    if height >= 0.75 * _REFERENCE_HEIGHT_PX or factor == 1:
        return image, 1
    return np.asarray(cv2.resize(image, (width * factor, height * factor)), np.uint8), factor


def _color(faces: Faces, i: int) -> Color:
    if len(faces) == 1:
        return bgr(ACTIVE_COLOR)
    return bgr(TRACK_COLORS[int(faces.track_id[i]) % len(TRACK_COLORS)])


LabelPart = tuple[str, Color, bool]
"""Text, color and whether it is bold."""


def _label(i: int, faces: Faces, affect: Affect, *, has_aus: bool) -> list[LabelPart]:
    """Return the parts of a label, without what the model does not predict."""
    parts: list[LabelPart] = [(f"Face {int(faces.track_id[i])}", TEXT, False)]
    if name := affect.top_expression()[i]:
        index = EXPRESSION_NAMES.index(name)
        probability = affect.expression_probability[i, index]
        color = bgr(EXPRESSION_COLORS[index])
        parts += [(f" · {name}", color, True), (f" {probability:.0%}", color, True)]
    active = np.flatnonzero(affect.au_active[i])
    if has_aus and len(active):
        strongest = np.argsort(-affect.au_probability[i, active], kind="stable")
        chosen = sorted(active[strongest[:_MAX_LABELED_AUS]].tolist())
        rest = len(active) - len(chosen)
        names = [AU_NAMES[k] for k in chosen] + ([f"+{rest}"] if rest else [])
        parts += [(f" {name}", bgr(ACTIVE_COLOR), False) for name in (f"· {names[0]}", *names[1:])]
    return parts


def _draw_label(
    canvas: Canvas, face: Box, parts: list[LabelPart], scale: float, occupied: list[Box]
) -> None:
    """Draw a label where it covers faces and other labels least; add its box to `occupied`."""
    size = max(1, round(_LABEL_PX * scale))
    images = [text_image(text, size, color, SURFACE, bold) for text, color, bold in parts]
    padding = round(4 * scale)
    width = sum(image.shape[1] for image in images) + 2 * padding
    height = images[0].shape[0] + padding
    canvas_px = (canvas.shape[1], canvas.shape[0])
    box = place_label(face, (width, height), canvas_px, occupied)
    occupied.append(box)
    left, top = round(box[0]), round(box[1])
    fill(canvas, left, top, left + width, top + height, SURFACE)
    left += padding
    for image in images:
        paste(canvas, image, left, top + padding // 2)
        left += image.shape[1]
