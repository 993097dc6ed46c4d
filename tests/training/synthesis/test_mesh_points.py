"""Tests of the face mesh points."""

import numpy as np
import pytest


@pytest.mark.shared
def test_mesh_points_match_landmarks_and_pupils(renderer):
    face = renderer.render(21, 1, "arkit")
    numbers = renderer.mesh_points.numbers
    assert len(numbers) == len(face.dense_xy) == len(set(numbers.tolist()))
    positions = {int(n): xy for n, xy in zip(numbers, face.dense_xy, strict=True)}
    span = np.linalg.norm(face.landmarks_xy[36] - face.landmarks_xy[45])
    for dense, sparse in ((33, 36), (263, 45), (61, 48), (291, 54), (133, 39)):
        assert np.linalg.norm(positions[dense] - face.landmarks_xy[sparse]) < 0.1 * span
    for pupil, eye in ((468, slice(36, 42)), (473, slice(42, 48))):
        assert np.linalg.norm(positions[pupil] - face.landmarks_xy[eye].mean(axis=0)) < 0.2 * span
