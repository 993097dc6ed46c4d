"""Images annotated with faces and scores."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.kernel_cases import flat_frame
from faceaffect.drawing.annotator import FaceAnnotator, OverlayStyle
from faceaffect.drawing.canvas import bgr
from faceaffect.drawing.palette import ACTIVE_COLOR
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
        ((640, 360), (880, 360)),
        ((112, 112), (688, 448)),
        ((1, 1), (600, 360)),
        ((360, 640), (600, 640)),
        ((1920, 1080), (2498, 1080)),
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
    ("style", "width"), [("panel", 880), ("minimal", 640), ("side-by-side", 1520)]
)
def test_annotator_style_sets_the_width(style: OverlayStyle, width: int) -> None:
    drawn = FaceAnnotator(style=style).draw(blank_frame(640, 360), *face_in(20, 60, 200, 260))
    assert drawn.shape == (360, width, 3)
    if style == "side-by-side":
        assert (drawn[:, :640] == 90).all()


def test_annotator_with_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="expected style to be one of panel, minimal"):
        FaceAnnotator(style="fancy")  # type: ignore[arg-type]


@pytest.mark.parametrize("box", [(20, 60, 200, 260), (430, 60, 620, 260), (100, 30, 540, 350)])
@pytest.mark.parametrize("style", ["panel", "minimal"])
def test_annotator_never_hides_a_face(style: OverlayStyle, box: tuple[int, ...]) -> None:
    """Beside lines, a face as large as the frame keeps its pixels."""
    drawn = FaceAnnotator(style=style).draw(blank_frame(640, 360), *face_in(*box))
    face = drawn[box[1] + 20 : box[3] - 20, box[0] + 20 : box[2] - 20]
    assert (face == 90).all(axis=2).mean() > 0.97


def test_annotator_highlights_active_aus() -> None:
    faces, affect = face_in(20, 60, 200, 260)
    affect.au_probability[:] = 0.9
    affect.au_active[:] = False
    off = FaceAnnotator().draw(blank_frame(640, 360), faces, affect)
    affect.au_active[0, 3] = True
    on = FaceAnnotator().draw(blank_frame(640, 360), faces, affect)
    rows = np.flatnonzero((off != on).any(axis=(1, 2)))
    assert 62 <= rows.min() < rows.max() <= 76  # the fourth row of bars, and no other
    assert (on[60:78, 640:] == bgr(ACTIVE_COLOR)).all(axis=2).any()


def test_annotator_draws_no_text_by_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters of OpenCV differ between its versions."""
    monkeypatch.delattr(cv2, "putText")
    FaceAnnotator().draw(blank_frame(640, 360), *synthetic_result(2, 3)[1:])
    FaceAnnotator(style="minimal").draw(blank_frame(640, 360), *synthetic_result(2, 1)[1:])


def test_annotator_blurs_faces_and_where_one_was_lost() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (360, 640, 3), np.uint8)
    annotator = FaceAnnotator(style="side-by-side", blur_faces=True)
    found = face_in(100, 100, 200, 220)
    none = synthetic_result(1, 0)[1:]

    def contrast(time_s: float, results: tuple[Faces, Affect]) -> tuple[float, float]:
        drawn = annotator.draw(Frame(pixels, time_s=time_s), *results)
        annotated = drawn[:, 640:1280]
        inside = (drawn[110:210, 110:190], annotated[130:190, 130:170])
        return max(float(area.std()) for area in inside), float(drawn[250:, 300:640].std())

    assert contrast(1.0, found)[0] < 12 < 70 < contrast(1.0, found)[1]
    assert contrast(1.4, none)[0] < 12
    assert contrast(1.7, none)[0] > 70


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
    panel, full_panel = drawn[:, 640:], full[:, 640:]
    shown = bgr(ACTIVE_COLOR)
    assert (full_panel == shown).all(axis=2).sum() > 100
    assert not (panel == shown).all(axis=2).any()
