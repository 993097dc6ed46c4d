"""Images annotated with faces and scores."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernel_cases import flat_frame
from faceaffect.drawing.annotator import FaceAnnotator
from faceaffect.types import Affect, Faces, Frame, PixelFormat
from tests.sdk.sinks.synthetic_results import synthetic_result


def blank_frame(width: int, height: int, index: int = 0, time_s: float = 0.0) -> Frame:
    return Frame(
        np.full((height, width, 3), 90, np.uint8), index=index, time_s=time_s, source="clip.mp4"
    )


def face_in(*box_xyxy: float) -> tuple[Faces, Affect]:
    _, faces, affect = synthetic_result(1)
    faces.box_xyxy[0] = box_xyxy
    faces.landmarks_xy[0] = box_xyxy[:2]
    return faces, affect


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (640, 360)),
        ((112, 112), (635, 448)),
        ((1, 1), (510, 360)),
        ((360, 640), (627, 640)),
    ],
)
def test_annotator_output_size_depends_on_frame_size_only(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    shapes = {
        FaceAnnotator().draw(blank_frame(*size), *synthetic_result(2, count)[1:]).shape
        for count in (0, 1, 3)
    }
    assert {(width, height) for height, width, _ in shapes} == {expected}
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("box", "side"), [((20, 60, 200, 260), "right"), ((430, 60, 620, 260), "left")]
)
def test_annotator_places_panel_away_from_face(box: tuple[int, int, int, int], side: str) -> None:
    drawn = FaceAnnotator().draw(blank_frame(640, 360), *face_in(*box))
    untouched = (drawn == 90).all(axis=2).mean(axis=0)  # fraction per column
    panel, away = (
        (untouched[:150], untouched[-15:]) if side == "left" else (untouched[-150:], untouched[:15])
    )
    assert panel.max() < 0.05
    assert away.min() > 0.95
    middle = drawn[box[1] + 20 : box[3] - 20, box[0] + 20 : box[2] - 20]
    assert (middle == 90).all()


def test_annotator_highlights_active_aus() -> None:
    faces, affect = face_in(20, 60, 200, 260)
    affect.au_probability[:] = 0.9
    affect.au_active[:] = False
    off = FaceAnnotator().draw(blank_frame(640, 360), faces, affect)
    affect.au_active[0, 3] = True
    on = FaceAnnotator().draw(blank_frame(640, 360), faces, affect)
    rows = np.flatnonzero((off != on).any(axis=(1, 2)))
    assert 35 <= rows.min() < rows.max() <= 60  # the fourth row of bars, and no other


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_annotator_draws_any_pixel_format_and_leaves_frame_unchanged(
    pixel_format: PixelFormat,
) -> None:
    frame = flat_frame(pixel_format, 240, 320, 128)
    drawn = FaceAnnotator().draw(frame, *synthetic_result(1)[1:])
    assert drawn.shape[2] == 3
    assert all((plane == 128).all() for plane in (frame.pixels, *(frame.chroma or ())))


@pytest.mark.parametrize("count", [1, 2])
def test_annotator_leaves_missing_outputs_empty(count: int) -> None:
    frame = blank_frame(640, 360)
    _, faces, affect = synthetic_result(3, count)
    nan = np.float32(np.nan)
    empty = Affect(
        nan * affect.au_probability,
        affect.au_active & False,
        nan * affect.expression_probability,
        nan * affect.valence,
        nan * affect.arousal,
    )
    drawn = FaceAnnotator().draw(frame, faces, empty)
    full = FaceAnnotator().draw(frame, faces, affect)
    assert drawn.shape == full.shape
    score_colors = {(60, 190, 255), (120, 220, 120)}  # active AUs, and the top expression
    shown = {color for color in score_colors if (full == color).all(axis=2).any()}
    assert shown or count > 1
    panel = drawn[:, -150:]
    assert not any((panel == color).all(axis=2).any() for color in shown)
