"""Tests of head pose conventions."""

import numpy as np
import pytest

from training.synthesis.camera import pose_rotation


@pytest.mark.parametrize(
    ("pose_deg", "axis", "sign"),
    [((20, 0, 0), 0, 1), ((-20, 0, 0), 0, -1), ((0, 15, 0), 1, 1), ((0, -15, 0), 1, -1)],
)
def test_pose_rotation_turns_nose_in_direction_of_pose(pose_deg, axis, sign):
    nose = pose_rotation(np.array(pose_deg)) @ np.array([0, 0, 1.0])
    assert sign * nose[axis] > 0.2


def test_pose_rotation_roll_is_clockwise_in_image():
    crown = pose_rotation(np.array([0, 0, 20.0])) @ np.array([0, 1.0, 0])
    assert crown[0] > 0.3  # towards the right of the image
