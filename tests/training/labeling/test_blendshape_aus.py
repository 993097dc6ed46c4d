"""Tests of the correction of blendshape targets by votes."""

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.labeling.blendshape_aus import VOTE_PRIOR_WEIGHT, refine_with_votes

pytestmark = pytest.mark.train


def votes(**fractions: float) -> np.ndarray:
    return np.array([[fractions.get(name, 0.0) for name in EXPRESSION_NAMES]], np.float32)


def refined(**fractions: float) -> tuple[dict[str, float], dict[str, float]]:
    target = np.full((1, 12), 0.8, np.float32)
    weight = np.full((1, 12), 0.1, np.float32)
    refine_with_votes(target, weight, votes(**fractions))
    targets = dict(zip(AU_NAMES, target[0].tolist(), strict=True))
    return targets, dict(zip(AU_NAMES, weight[0].tolist(), strict=True))


def test_refine_with_votes_of_neutral_faces_suppresses_au1():
    target, weight = refined(neutral=1.0)
    assert target["AU1"] == pytest.approx(0.4)
    assert (target["AU2"], weight["AU2"]) == pytest.approx((0.8, 0.1))
    assert refined(neutral=0.5, sadness=0.5)[0]["AU1"] == pytest.approx(0.8)


def test_refine_with_votes_adds_priors_for_undetected_units():
    target, weight = refined(happiness=1.0)
    assert (target["AU6"], weight["AU6"]) == pytest.approx((0.9, VOTE_PRIOR_WEIGHT))
    assert target["AU12"] == pytest.approx(0.8)
    assert refined(sadness=0.9, happiness=0.05)[0]["AU12"] == 0, "almost no votes for happiness"
