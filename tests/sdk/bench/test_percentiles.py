from __future__ import annotations

import math

import numpy as np
import pytest

from faceaffect.bench.percentiles import Distribution


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 1000])
def test_percentiles_are_numpy_s(count: int) -> None:
    values = np.random.default_rng(count).lognormal(size=count)
    found = Distribution.of([values[: count // 2].tolist(), values[count // 2 :].tolist()])
    expected = [np.percentile(values, p) for p in (50, 90, 95, 99)]
    assert [found.p50, found.p90, found.p95, found.p99] == pytest.approx(expected)
    assert (found.max, found.mean, found.count) == (
        values.max(),
        pytest.approx(values.mean()),
        count,
    )


def test_jitter_is_the_mean_step_and_does_not_cross_rounds() -> None:
    assert Distribution.of([[1.0, 4.0, 2.0]]).jitter == pytest.approx((3 + 2) / 2)
    assert Distribution.of([[1.0, 2.0], [100.0, 101.0]]).jitter == pytest.approx(1.0)
    assert Distribution.of([[5.0]]).jitter == 0
    assert Distribution.of([[3.0] * 9]).jitter == 0


def test_nothing_measured_is_not_zero() -> None:
    for rounds in ([], [[]], [[], []]):
        found = Distribution.of(rounds)
        assert found.count == 0
        assert math.isnan(found.p50)
        assert math.isnan(found.jitter)
