"""The fit against a head whose shape, pose and place are known."""

from __future__ import annotations

import numpy as np
import pytest

from training.real_skin import head_fit
from training.real_skin.head_fit import HeadFitter, LinearSpline, carry, similarity
from training.synthesis.head_mesh import HeadMesh
from training.synthesis.identity import sample_identity


def test_spline_reproduces_linear_functions_and_meets_its_points() -> None:
    rng = np.random.default_rng(0)
    points, at = rng.normal(size=(40, 3)), rng.normal(size=(25, 3))
    matrix = rng.normal(size=(3, 2))
    spline = LinearSpline(points, points @ matrix + 1.5, 0.1)
    np.testing.assert_allclose(spline(at), at @ matrix + 1.5, atol=1e-8)
    values = rng.normal(size=(40, 2))
    np.testing.assert_allclose(LinearSpline(points, values, 0.0)(points), values, atol=1e-8)


def test_similarity_recovers_scale_turn_and_shift() -> None:
    rng = np.random.default_rng(1)
    source = rng.normal(size=(30, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    goal = 3.5 * source @ turn.T + np.array([4.0, -2.0, 1.0])
    scale, rotation, shift = similarity(source, goal, np.ones(30))
    assert scale == pytest.approx(3.5)
    np.testing.assert_allclose(rotation, turn, atol=1e-9)
    np.testing.assert_allclose(shift, [4, -2, 1], atol=1e-8)


@pytest.fixture(scope="module")
def fitter(head: HeadMesh, tmp_path_factory: pytest.TempPathFactory) -> HeadFitter:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_fit, "_PEOPLE", 60)
        return HeadFitter(head, tmp_path_factory.mktemp("shapes") / "shapes.npz")


@pytest.mark.shared
def test_fit_meets_the_points_of_an_unseen_person(head: HeadMesh, fitter: HeadFitter) -> None:
    person = sample_identity(head, np.random.default_rng(9), 9).vertices.astype(np.float64)
    yaw = np.radians(12)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    camera = 90 * (person - person.mean(axis=0)) @ turn.T + np.array([120.0, -120.0, 0.0])
    points = np.zeros((478, 3))
    points[fitter.numbers] = camera[fitter.vertices] * (1, -1, -1)
    fit = fitter.fit(points.astype(np.float32))
    truth = points[fitter.numbers] * (1, -1, -1)
    error = np.linalg.norm((fit.rest[fitter.vertices] - truth)[:, :2], axis=1)
    assert np.median(error) < 0.6
    wrong = fit.rotation.T @ turn
    # The teacher's depth counts little, so pitch and shape can stand in for each other.
    assert np.degrees(np.arccos((np.trace(wrong) - 1) / 2)) < 10
    assert abs(np.degrees(np.arcsin(fit.rotation[0, 2])) - 12) < 2
    assert fit.scale == pytest.approx(90, rel=0.08)


@pytest.mark.shared
def test_carried_motion_keeps_direction_and_bounds(head: HeadMesh, fitter: HeadFitter) -> None:
    points = np.zeros((478, 3))
    camera = 80 * head.base.astype(np.float64)
    points[fitter.numbers] = camera[fitter.vertices] * (1, -1, -1)
    fit = fitter.fit(points.astype(np.float32))
    moved = np.zeros_like(head.base)
    moved[fitter.vertices[:40], 1] = 0.05
    out = carry(fit, head.base, moved)
    size = np.linalg.norm(out[fitter.vertices[:40]], axis=1) / (0.05 * fit.scale)
    assert (size > 0.59).all()
    assert (size < 1.61).all()
    assert (out[fitter.vertices[:40], 1] > 0).all()
    assert not carry(fit, head.base, np.zeros_like(moved)).any()
