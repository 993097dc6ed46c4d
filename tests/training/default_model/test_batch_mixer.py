"""Batches of the default model."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.default_model.synthetic_faces import tiny_mixer
from training.default_model.batch_mixer import class_balanced_weights
from training.losses.expression import inverse_frequency_weights

pytestmark = pytest.mark.train


def test_build_gives_crops_without_face_no_weight() -> None:
    batch = tiny_mixer().build(5, 112)
    has_no_face = batch["face"] == 0
    assert int(has_no_face.sum()) == 2
    for name in ("landmark_weight", "pose_weight", "expression_weight", "va_weight", "au_weight"):
        assert not batch[name][has_no_face].any()


def test_class_balanced_weights_oversample_rare_expressions() -> None:
    expression = np.eye(7, dtype=np.float32)[[0] * 90 + [2] * 10]
    uniform = class_balanced_weights(expression, 0.0)
    balanced = class_balanced_weights(expression, 1.0)
    assert uniform[90:].sum() == pytest.approx(0.1)
    assert balanced[90:].sum() == pytest.approx(0.5, abs=0.01)
    weights = inverse_frequency_weights(expression, np.ones(100, np.float32))
    assert weights[2] > weights[0]
