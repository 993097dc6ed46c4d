"""Synthetic landmarks for tests."""

import numpy as np


def frontal_landmarks():
    """Returns coarse landmarks [68, 2] of an upright face in an image of 100 px."""
    xy = np.full((68, 2), 50.0, np.float32)
    xy[0:17] = np.stack(
        [np.linspace(20, 80, 17), 50 + 40 * np.sin(np.linspace(0, np.pi, 17))], axis=1
    )
    xy[17:27] = np.stack([np.linspace(28, 72, 10), np.full(10, 30)], axis=1)
    xy[27:36] = np.stack([np.full(9, 50), np.linspace(38, 60, 9)], axis=1)
    xy[36:42] = (36, 40)
    xy[42:48] = (64, 40)
    xy[48:68] = np.stack([np.linspace(40, 60, 20), np.full(20, 72)], axis=1)
    return xy
