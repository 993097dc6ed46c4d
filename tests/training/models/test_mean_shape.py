"""Order of mirrored landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from training.models.mean_shape import FLIP_ORDER

pytestmark = pytest.mark.train


def test_flip_order_twice_is_identity() -> None:
    order = np.array(FLIP_ORDER)
    assert sorted(order) == list(range(68))
    assert (order[order] == np.arange(68)).all()
    assert order[36] == 45
    assert order[48] == 54
    assert order[0] == 16
    assert order[8] == 8
