"""Measures of faces whose points are moved by known amounts."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from training.labeling.geometric_aus import (
    MEASURES,
    TAUGHT_BY,
    RestingFace,
    au_evidence,
    au_scores,
    measure,
)

# A coarse frontal face of unit eye distance: points that the measures and the pose need.
FACE = {
    33: (-0.5, 0.0),
    133: (-0.2, 0.0),
    263: (0.5, 0.0),
    362: (0.2, 0.0),
    55: (-0.12, -0.2),
    285: (0.12, -0.2),
    107: (-0.12, -0.26),
    336: (0.12, -0.26),
    70: (-0.5, -0.22),
    300: (0.5, -0.22),
    63: (-0.42, -0.26),
    293: (0.42, -0.26),
    159: (-0.35, -0.05),
    145: (-0.35, 0.05),
    386: (0.35, -0.05),
    374: (0.35, 0.05),
    158: (-0.3, -0.05),
    153: (-0.3, 0.05),
    385: (0.3, -0.05),
    380: (0.3, 0.05),
    168: (0.0, 0.0),
    6: (0.0, 0.1),
    197: (0.0, 0.2),
    195: (0.0, 0.28),
    5: (0.0, 0.36),
    4: (0.0, 0.44),
    1: (0.0, 0.5),
    2: (0.0, 0.55),
    98: (-0.15, 0.52),
    327: (0.15, 0.52),
    0: (0.0, 0.72),
    37: (-0.06, 0.71),
    267: (0.06, 0.71),
    13: (0.0, 0.78),
    14: (0.0, 0.78),
    17: (0.0, 0.88),
    61: (-0.25, 0.79),
    291: (0.25, 0.79),
    152: (0.0, 1.2),
    10: (0.0, -0.8),
    151: (0.0, -0.6),
    9: (0.0, -0.3),
    234: (-0.8, 0.1),
    454: (0.8, 0.1),
    127: (-0.78, -0.1),
    356: (0.78, -0.1),
    93: (-0.76, 0.3),
    323: (0.76, 0.3),
}
DEPTH = {
    1: -0.3,
    4: -0.32,
    5: -0.25,
    2: -0.2,
    234: 0.5,
    454: 0.5,
    127: 0.5,
    356: 0.5,
    93: 0.5,
    323: 0.5,
}


def faces(count: int, noise: float = 0.006, seed: int = 0) -> np.ndarray:
    points = np.zeros((count, 478, 3), np.float32)
    for number, xy in FACE.items():
        points[:, number] = (*xy, DEPTH.get(number, 0.0))
    used = list(FACE)
    random = np.random.default_rng(seed)
    points[:, used] += random.normal(0, noise, (count, len(used), 3)).astype(np.float32)
    return points


@pytest.fixture(scope="module")
def rest() -> RestingFace:
    neutral = faces(400)
    smiling = move(faces(100, seed=1), AU12)
    points = np.concatenate([neutral, smiling])
    is_neutral = np.arange(500) < 400
    return RestingFace.fit(points, is_neutral, ~is_neutral)


Moves = dict[int, tuple[float, float]]
AU1: Moves = {n: (0.0, -0.06) for n in (55, 285, 107, 336)}
AU4: Moves = {55: (0.04, 0.04), 107: (0.04, 0.04), 285: (-0.04, 0.04), 336: (-0.04, 0.04)}
AU2: Moves = {n: (0.0, -0.06) for n in (70, 300, 63, 293)}
AU7: Moves = {n: (0.0, 0.015) for n in (159, 386, 158, 385)} | {
    n: (0.0, -0.015) for n in (145, 374, 153, 380)
}
AU10: Moves = {n: (0.0, -0.06) for n in (0, 37, 267, 13)}
AU12: Moves = {61: (-0.08, -0.08), 291: (0.08, -0.08)}
AU15: Moves = {61: (0.0, 0.07), 291: (0.0, 0.07)}
AU24: Moves = {0: (0.0, 0.04), 37: (0.0, 0.04), 267: (0.0, 0.04), 17: (0.0, -0.06)}
AU25: Moves = {13: (0.0, -0.03), 14: (0.0, 0.05), 17: (0.0, 0.05)}
AU26: Moves = {14: (0.0, 0.12), 17: (0.0, 0.12), 152: (0.0, 0.15)}
MOVES = {
    "AU1": AU1,
    "AU2": AU2,
    "AU4": AU4,
    "AU7": AU7,
    "AU10": AU10,
    "AU12": AU12,
    "AU15": AU15,
    "AU24": AU24,
    "AU25": AU25,
    "AU26": AU26,
}


def move(points: np.ndarray, moves: Moves, share: float = 1.0) -> np.ndarray:
    moved = points.copy()
    for number, offset in moves.items():
        moved[:, number, :2] += share * np.array(offset, np.float32)
    return moved


@pytest.mark.parametrize("unit", list(MOVES))
def test_a_moved_unit_is_found(rest: RestingFace, unit: str) -> None:
    people = faces(60, seed=5)
    k = AU_NAMES.index(unit)
    off, _ = au_evidence(rest, people)
    on, weight = au_evidence(rest, move(people, MOVES[unit]))
    assert off[:, k].mean() < 0.2
    assert on[:, k].mean() > 0.8
    assert weight[:, k].mean() > 0.2


@pytest.mark.parametrize("unit", list(MOVES))
def test_scores_grow_with_the_motion(rest: RestingFace, unit: str) -> None:
    people = faces(60, seed=6)
    k = AU_NAMES.index(unit)
    means = [au_scores(rest, move(people, MOVES[unit], s))[:, k].mean() for s in (0, 0.5, 1)]
    assert means[0] < means[1] < means[2]


def test_measures_do_not_depend_on_pose_place_and_size(rest: RestingFace) -> None:
    people = faces(5, seed=7)
    yaw, pitch = np.radians(20), np.radians(-10)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn = turn @ np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    posed = (37 * people @ turn.T + np.array([100, 50, 3])).astype(np.float32)
    np.testing.assert_allclose(
        measure(posed, rest.reference)[0], measure(people, rest.reference)[0], atol=2e-4
    )


def test_confidence_is_zero_where_the_measure_cannot_tell(rest: RestingFace) -> None:
    people = faces(20, seed=8)
    _, weight = au_evidence(
        rest, move(people, {159: (0, 0.09), 386: (0, 0.09), 158: (0, 0.09), 385: (0, 0.09)})
    )
    assert not weight[:, AU_NAMES.index("AU7")].any()  # closed eyes
    target, weight = au_evidence(rest, move(people, AU24))
    assert not weight[target[:, AU_NAMES.index("AU23")] > 0, AU_NAMES.index("AU23")].any()
    yaw = np.radians(45)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    assert not au_evidence(rest, (people @ turn.T).astype(np.float32))[1].any()


def test_a_resting_inner_brow_does_not_tell_that_raiser_and_depressor_are_absent(
    rest: RestingFace,
) -> None:
    people = faces(60, seed=9)
    columns = [AU_NAMES.index(name) for name in ("AU1", "AU4")]
    height = rest.deviations(people)[0][:, MEASURES.index("inner_brow")]
    at_rest = np.abs(height) < 0.4
    assert at_rest.sum() > 10
    target, weight = (values[at_rest][:, columns] for values in au_evidence(rest, people))
    assert not weight[target < 0.5].any()
    raised, lowered = (au_evidence(rest, move(people, moves))[1] for moves in (AU1, AU4))
    assert raised[:, columns[1]].mean() > 0.3
    assert lowered[:, columns[0]].mean() > 0.3


def test_every_unit_states_what_taught_it() -> None:
    assert set(TAUGHT_BY) == set(AU_NAMES)
    assert len(set(MEASURES)) == len(MEASURES)
