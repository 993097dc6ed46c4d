"""Actions on a drawn face: marks painted on it move as the unit says, and rest changes nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.labeling.mediapipe_teacher import LANDMARKS_68
from training.real_skin import head_fit

pytestmark = pytest.mark.shared
REQUIRES = ("moderngl",)
PX_PER_DM = 85.0
SKIN = (190, 150, 130)


@pytest.fixture(scope="module")
def renderer(shared: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    moderngl = pytest.importorskip("moderngl")
    try:
        moderngl.create_context(standalone=True, backend="egl").release()
    except Exception as error:  # moderngl raises bare Exception without a GL driver
        pytest.skip(f"needs OpenGL through EGL: {error}")
    from training.real_skin.action_renderer import ActionRenderer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_fit, "_PEOPLE", 60)
        return ActionRenderer(shared / "data", tmp_path_factory.mktemp("fit") / "shapes.npz")


def face(renderer, mark: int | None = None):  # type: ignore[no-untyped-def]
    """A photograph in the color of skin with a dark dot at a landmark, and the teacher's points."""
    base = renderer.head.base.astype(np.float64)
    camera = PX_PER_DM * (base - np.array([0.0, 7.0, 1.0])) + np.array([120.0, -120.0, 0.0])
    points = np.zeros((478, 3))
    points[list(LANDMARKS_68)] = camera[renderer._marks] * (1, -1, -1)
    points[renderer.fitter.numbers] = camera[renderer.fitter.vertices] * (1, -1, -1)
    photo = np.full((240, 240, 3), SKIN, np.uint8)
    if mark is not None:
        x, y = points[LANDMARKS_68[mark], :2]
        cv2.circle(photo, (round(16 * x), round(16 * y)), 16 * 3, (20, 20, 20), -1, cv2.LINE_AA, 4)
    return photo, points.astype(np.float32)


def dark_center(image: np.ndarray) -> np.ndarray:
    weight = np.clip(110.0 - image.mean(axis=2), 0, None)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


def test_without_actions_the_photograph_is_only_resampled(renderer) -> None:  # type: ignore[no-untyped-def]
    photo, points = face(renderer, 48)
    stage = renderer.prepare(photo, points)
    shown = renderer.act(stage, [])
    expected = cv2.resize(stage.photo, (160, 160), interpolation=cv2.INTER_AREA) * 255
    assert np.abs(shown.image - expected).max() <= 2
    np.testing.assert_allclose(
        shown.landmarks_xy, (stage.landmarks_xy + 0.5) / 1.5 - 0.5, atol=1e-3
    )


@pytest.mark.parametrize(("unit", "mark", "direction"), [("AU12", 48, -1), ("AU15", 48, 1)])
def test_a_mark_on_the_skin_moves_where_the_unit_takes_it(  # type: ignore[no-untyped-def]
    renderer, unit: str, mark: int, direction: int
) -> None:
    from training.real_skin.action_renderer import Action
    from training.real_skin.unit_motions import Variation

    stage = renderer.prepare(*face(renderer, mark))
    flat = Variation(folds=0.0)
    rest, shown = (renderer.act(stage, a) for a in ([], [Action(unit, 0.9, flat)]))
    moved = dark_center(shown.image) - dark_center(rest.image)
    told = (shown.landmarks_xy - rest.landmarks_xy)[mark]
    assert direction * moved[1] > 1.0
    assert np.linalg.norm(moved - told) < 0.35 * np.linalg.norm(told) + 0.4


def test_stronger_actions_change_more_and_only_their_region(renderer) -> None:  # type: ignore[no-untyped-def]
    from training.real_skin.action_renderer import Action

    stage = renderer.prepare(*face(renderer, 19))
    rest = renderer.act(stage, []).image.astype(float)
    half, full = (np.abs(renderer.act(stage, [Action("AU4", s)]).image - rest) for s in (0.5, 0.9))
    assert 0 < half.mean() < full.mean()
    mouth = full[100:150, 40:120]
    assert mouth.mean() < 0.1 * full[40:80, 40:120].mean()


def test_parted_lips_show_a_dark_gap(renderer) -> None:  # type: ignore[no-untyped-def]
    from training.real_skin.action_renderer import Action
    from training.real_skin.mouth import MouthLook

    stage = renderer.prepare(*face(renderer))
    shown = renderer.act(stage, [Action("AU26", 0.9)], MouthLook(teeth=0.0))
    x, y = np.rint(shown.landmarks_xy[[62, 66]].mean(axis=0)).astype(int)
    assert shown.image[y, x].mean() < 0.5 * np.mean(SKIN)
    rest = renderer.act(stage, [])
    assert rest.image[y, x].mean() > 0.8 * np.mean(SKIN)
