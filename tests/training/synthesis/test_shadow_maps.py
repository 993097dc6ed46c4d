"""Tests of the light projection."""

import numpy as np

from training.synthesis.shadow_maps import light_matrix


def test_light_matrix_orders_depth_along_ray():
    direction = np.array([0.6, 0.3, 0.74])
    center = np.array([0.1, 0.2, -9.0])
    matrix = light_matrix(direction, center)
    points = np.stack([center, center + 0.5 * direction / np.linalg.norm(direction)])
    clip = np.concatenate([points, np.ones((2, 1))], axis=1) @ matrix.T
    np.testing.assert_allclose(clip[:, :2], 0, atol=1e-5)  # on the same ray
    assert clip[1, 2] < clip[0, 2]
