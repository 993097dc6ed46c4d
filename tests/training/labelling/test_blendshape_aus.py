"""What people voted for corrects what the blendshape teacher said."""

import numpy as np
import pytest

pytestmark = pytest.mark.train

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES  # noqa: E402
from training.labelling.blendshape_aus import CALM_AUS, CALM_WEIGHT, HINT_WEIGHT, add_vote_evidence  # noqa: E402


def votes(**share: float) -> np.ndarray:
    return np.array([[share.get(name, 0.0) for name in EXPRESSION_NAMES]], np.float32)


def after(**share: float) -> tuple[dict[str, float], dict[str, float]]:
    target, weight = np.full((1, 12), 0.8, np.float32), np.full((1, 12), 0.1, np.float32)
    add_vote_evidence(target, weight, votes(**share))
    return dict(zip(AU_NAMES, target[0].tolist(), strict=True)), dict(zip(AU_NAMES, weight[0].tolist(), strict=True))


def test_neutral_faces_show_no_expressive_unit():
    target, weight = after(neutral=0.9, sadness=0.1)
    for name in AU_NAMES:
        if name in CALM_AUS:
            assert target[name] == 0
            assert weight[name] == pytest.approx(CALM_WEIGHT)
        else:
            assert (target[name], weight[name]) == pytest.approx((0.8, 0.1)), "lips may be parted"


def test_half_neutral_faces_keep_what_the_teacher_saw():
    target, weight = after(neutral=0.5, sadness=0.5)
    assert (target["AU4"], weight["AU4"]) == pytest.approx((0.8, 0.1))
    target, weight = after(neutral=0.65, sadness=0.35)
    assert (target["AU4"], weight["AU4"]) == pytest.approx((0.4, CALM_WEIGHT / 2))


def test_votes_hint_at_units_that_the_teacher_cannot_see():
    target, weight = after(happiness=1.0)
    assert (target["AU6"], weight["AU6"]) == pytest.approx((0.9, HINT_WEIGHT))
    assert target["AU12"] == pytest.approx(0.8)
    assert after(sadness=0.9, happiness=0.05)[0]["AU12"] == 0, "nobody saw happiness"
