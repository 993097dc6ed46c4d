"""Tests of AU visibility under occlusion."""

import numpy as np

from faceaffect.labels import AU_NAMES
from tests.training.synthesis.synthetic_landmarks import frontal_landmarks
from training.synthesis.au_regions import visible_aus
from training.synthesis.head_renderer import REGION_FACE, REGION_HAIR


def test_visible_aus_with_hidden_mouth_excludes_mouth_units():
    regions = np.full((100, 100), REGION_FACE, np.uint8)
    hidden = np.zeros((100, 100), np.bool_)
    landmarks = frontal_landmarks()
    assert visible_aus(regions, hidden, landmarks).all()
    hidden[64:] = True
    is_visible = dict(zip(AU_NAMES, visible_aus(regions, hidden, landmarks), strict=True))
    assert not any(is_visible[name] for name in ("AU12", "AU15", "AU23", "AU24", "AU25", "AU26"))
    assert all(is_visible[name] for name in ("AU1", "AU2", "AU4", "AU6", "AU7"))
    regions[:35] = REGION_HAIR
    assert not visible_aus(regions, hidden, landmarks)[AU_NAMES.index("AU1")]
