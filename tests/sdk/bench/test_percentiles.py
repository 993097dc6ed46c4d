from __future__ import annotations

import math

import numpy as np
import pytest

from faceaffect.bench.percentiles import Distribution


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 1000])
def test_distribution_percentiles_equal_numpy(count: int) -> None:
    values = np.random.default_rng(count).lognormal(size=count)
    distribution = Distribution.from_rounds(
        [values[: count // 2].tolist(), values[count // 2 :].tolist()]
    )
    expected = [np.percentile(values, p) for p in (50, 90, 95, 99)]
    assert [
        distribution.p50,
        distribution.p90,
        distribution.p95,
        distribution.p99,
    ] == pytest.approx(expected)
    assert (distribution.max, distribution.mean, distribution.count) == (
        values.max(),
        pytest.approx(values.mean()),
        count,
    )


def test_distribution_jitter_is_mean_difference_within_rounds() -> None:
    assert Distribution.from_rounds([[1.0, 4.0, 2.0]]).jitter == pytest.approx((3 + 2) / 2)
    assert Distribution.from_rounds([[1.0, 2.0], [100.0, 101.0]]).jitter == pytest.approx(1.0)
    assert Distribution.from_rounds([[5.0]]).jitter == 0
    assert Distribution.from_rounds([[3.0] * 9]).jitter == 0


def test_distribution_of_no_samples_is_nan() -> None:
    for rounds in ([], [[]], [[], []]):
        distribution = Distribution.from_rounds(rounds)
        assert distribution.count == 0
        assert math.isnan(distribution.p50)
        assert math.isnan(distribution.jitter)
