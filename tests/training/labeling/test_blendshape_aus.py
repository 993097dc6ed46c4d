"""What people voted for corrects what the blendshape teacher said."""

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.labeling.blendshape_aus import VOTE_PRIOR_WEIGHT, refine_with_votes

pytestmark = pytest.mark.train


def votes(**share: float) -> np.ndarray:
    return np.array([[share.get(name, 0.0) for name in EXPRESSION_NAMES]], np.float32)


def after(**share: float) -> tuple[dict[str, float], dict[str, float]]:
    target, weight = np.full((1, 12), 0.8, np.float32), np.full((1, 12), 0.1, np.float32)
    refine_with_votes(target, weight, votes(**share))
    return dict(zip(AU_NAMES, target[0].tolist(), strict=True)), dict(
        zip(AU_NAMES, weight[0].tolist(), strict=True)
    )


def test_inner_brows_of_neutral_faces_are_doubted():
    target, weight = after(neutral=1.0)
    assert target["AU1"] == pytest.approx(0.4)
    assert (target["AU2"], weight["AU2"]) == pytest.approx((0.8, 0.1))
    assert after(neutral=0.5, sadness=0.5)[0]["AU1"] == pytest.approx(0.8)


def test_votes_hint_at_units_that_the_teacher_cannot_see():
    target, weight = after(happiness=1.0)
    assert (target["AU6"], weight["AU6"]) == pytest.approx((0.9, VOTE_PRIOR_WEIGHT))
    assert target["AU12"] == pytest.approx(0.8)
    assert after(sadness=0.9, happiness=0.05)[0]["AU12"] == 0, "nobody saw happiness"
