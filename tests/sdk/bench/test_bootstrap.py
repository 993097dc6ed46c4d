from __future__ import annotations

import numpy as np
import pytest

from faceaffect.bench.bootstrap import percentile_intervals


def test_intervals_cover_known_percentiles_about_as_often_as_stated() -> None:
    random = np.random.default_rng(1)
    true = {50: np.log(2), 90: np.log(10)}  # of the exponential distribution
    hits = dict.fromkeys(true, 0)
    trials = 60
    for _ in range(trials):
        rounds = random.exponential(size=(8, 60)).tolist()
        for percentile, (low, high) in percentile_intervals(rounds, (50, 90)).items():
            hits[percentile] += low <= true[percentile] <= high
    assert all(0.85 * trials <= count <= trials for count in hits.values()), hits


def test_interval_widens_with_the_spread_between_rounds() -> None:
    random = np.random.default_rng(2)
    samples = random.normal(10, 0.1, (6, 100))
    apart = samples + np.array([-1, -0.6, -0.2, 0.2, 0.6, 1])[:, None]
    widths = [
        high - low
        for rounds in (samples, apart)
        for low, high in percentile_intervals(rounds.tolist(), (50,)).values()
    ]
    assert widths[0] < 0.06
    assert widths[1] > 0.5


def test_intervals_are_repeatable_and_empty_without_samples() -> None:
    rounds = [[1.0, 2.0, 5.0], [1.5, 2.5]]
    assert percentile_intervals(rounds, (50, 99)) == percentile_intervals(rounds, (50, 99))
    assert percentile_intervals([[], []], (50,)) == {}
    assert percentile_intervals([[3.0]], (99,)) == {99: (3.0, 3.0)}


def test_blocks_keep_neighbors_together() -> None:
    """The interval of a slowly varying series is wider than that of the same values shuffled."""
    random = np.random.default_rng(3)
    walk = np.sin(np.arange(1000) / 15)
    shuffled = random.permutation(walk)
    (slow,), (mixed,) = (
        [high - low for low, high in percentile_intervals([one.tolist()], (50,)).values()]
        for one in (walk, shuffled)
    )
    assert slow > 1.5 * mixed


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_interval_stays_within_the_samples(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    ((low, high),) = percentile_intervals([values.tolist()], (99,)).values()
    assert values.min() <= low <= high <= values.max()
