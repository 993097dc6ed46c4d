"""Motions of units against the descriptions of the FACS manual, in millimeters at landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from training.real_skin.unit_motions import PULLS, UNITS, Variation, base_motion
from training.synthesis.head_mesh import HeadMesh, RenderMesh
from training.synthesis.landmark_vertices import landmark_vertices

pytestmark = pytest.mark.shared
INNER_BROWS, OUTER_BROWS = [21, 22], [18, 25]
CORNERS, UPPER_LIP_INNER, LOWER_LIP_INNER = [48, 54], [61, 62, 63], [65, 66, 67]
UPPER_LID, LOWER_LID = [37, 38, 43, 44], [40, 41, 46, 47]


@pytest.fixture(scope="module")
def moved_mm(head: HeadMesh, mesh: RenderMesh):  # type: ignore[no-untyped-def]
    marks = landmark_vertices(head)

    def move(unit: str, strength: float = 1.0, **changes: object) -> np.ndarray:
        variation = Variation(**changes)  # type: ignore[arg-type]
        return 100 * base_motion(head, mesh, unit, strength, variation)[marks]

    return move


def test_inner_brow_raiser_raises_inner_brows_as_far_as_people_do(moved_mm) -> None:  # type: ignore[no-untyped-def]
    moved = moved_mm("AU1")
    assert 5 < moved[INNER_BROWS, 1].mean() < 10
    assert moved[OUTER_BROWS, 1].mean() < 0.4 * moved[INNER_BROWS, 1].mean()


def test_outer_brow_raiser_raises_outer_brows(moved_mm) -> None:  # type: ignore[no-untyped-def]
    moved = moved_mm("AU2")
    assert moved[OUTER_BROWS, 1].mean() > 3
    assert moved[INNER_BROWS, 1].mean() < 0.5 * moved[OUTER_BROWS, 1].mean()


def test_brow_lowerer_draws_brows_down_and_together(moved_mm) -> None:  # type: ignore[no-untyped-def]
    moved = moved_mm("AU4")
    assert moved[INNER_BROWS, 1].mean() < -3
    together = moved[22, 0] - moved[21, 0]  # the subject's left brow is at larger x
    assert together < -3


def test_lid_tightener_narrows_the_eye_without_closing_it(head, moved_mm) -> None:  # type: ignore[no-untyped-def]
    moved = moved_mm("AU7")
    base = 100 * head.base[landmark_vertices(head)]
    opening = base[UPPER_LID, 1].mean() - base[LOWER_LID, 1].mean()
    narrowed = moved[LOWER_LID, 1].mean() - moved[UPPER_LID, 1].mean()
    assert 0.15 * opening < narrowed < 0.7 * opening


def test_upper_lip_raiser_raises_the_inner_edge_of_the_upper_lip(moved_mm) -> None:  # type: ignore[no-untyped-def]
    moved = moved_mm("AU10")
    assert moved[UPPER_LIP_INNER, 1].mean() > 2.5
    assert abs(moved[LOWER_LIP_INNER, 1]).max() < 1.5


def test_smile_and_frown_move_corners_up_and_down(moved_mm) -> None:  # type: ignore[no-untyped-def]
    assert moved_mm("AU12")[CORNERS, 1].mean() > 4
    assert moved_mm("AU15")[CORNERS, 1].mean() < -4


def test_lip_presser_holds_the_corners(moved_mm) -> None:  # type: ignore[no-untyped-def]
    moved = moved_mm("AU24")
    assert np.abs(moved[CORNERS, 1]).max() < 1


def test_lips_part_and_jaw_drops(moved_mm) -> None:  # type: ignore[no-untyped-def]
    for unit in ("AU25", "AU26"):
        moved = moved_mm(unit)
        assert (moved[UPPER_LIP_INNER, 1].mean() - moved[LOWER_LIP_INNER, 1].mean()) > 2
    assert moved_mm("AU26")[8, 1] < moved_mm("AU25")[8, 1] - 2


@pytest.mark.parametrize("unit", UNITS)
def test_motion_grows_with_strength_from_nothing(moved_mm, unit: str) -> None:  # type: ignore[no-untyped-def]
    sizes = [np.abs(moved_mm(unit, strength)).max() for strength in (0.0, 0.5, 0.9)]
    assert sizes[0] == 0
    assert 0 < sizes[1] < sizes[2]


@pytest.mark.parametrize("unit", ["AU2", "AU12"])
def test_one_side_moves_less(moved_mm, unit: str) -> None:  # type: ignore[no-untyped-def]
    moved = np.linalg.norm(moved_mm(unit, sides=(1.0, 0.2)), axis=1)
    right, left = OUTER_BROWS if unit == "AU2" else CORNERS
    assert moved[right] < 0.5 * moved[left]


def test_variations_differ_and_stay_in_range() -> None:
    drawn = [Variation.draw(np.random.default_rng(i)) for i in range(200)]
    assert len({each.gain for each in drawn}) == 200
    weaker = np.array([min(each.sides) for each in drawn])
    assert all(max(each.sides) == 1 for each in drawn)
    assert 0.1 < (weaker < 0.7).mean() < 0.35
    assert set(PULLS) <= set(UNITS)


def test_unknown_unit_is_refused(head: HeadMesh, mesh: RenderMesh) -> None:
    with pytest.raises(ValueError, match="expected a unit of AU1"):
        base_motion(head, mesh, "AU99", 0.5)
