"""Tests of region maps."""

import numpy as np
import pytest

from training.synthesis.head_renderer import REGION_EYES, REGION_FACE


@pytest.mark.shared
def test_draw_regions_agrees_with_landmarks(renderer):
    for index in (0, 6, 12):
        face = renderer.render(21, index, "facs")
        if face.occluded or abs(face.pose_deg[0]) > 30:
            continue
        x, y = np.clip(np.rint(face.landmarks_xy).astype(int), 0, 95).T
        assert np.isin(face.regions[y[27:36], x[27:36]], (REGION_FACE,)).mean() > 0.6
        assert face.regions[0, 0] != REGION_EYES
        assert face.au_visible.shape == (12,)
