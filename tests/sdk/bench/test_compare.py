from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from benchmarks.synthetic_records import synthetic_record
from faceaffect.bench.compare import (
    Change,
    Verdict,
    classify_change,
    compare_records,
    rank_sum_p_value,
)
from faceaffect.bench.configuration import BenchError
from faceaffect.bench.machine_load import MachineLoad
from faceaffect.bench.metrics import Metric
from faceaffect.bench.record import Record


def changes(before: Record, after: Record) -> dict[str, Change]:
    (changed,) = compare_records(before, after).changes.values()
    return {change.before.name: change for change in changed}


def verdicts(before: Record, after: Record) -> set[Verdict]:
    """Return the verdicts of all metrics that follow the level of the record."""
    found = changes(before, after).values()
    return {
        one.verdict for one in found if one.before.unit != "%" and one.before.group != "reference"
    }


def metric(rounds: list[float]) -> Metric:
    return Metric("stages", "cpu", "total", "ms", rounds)


def test_rank_sum_p_value_counts_rank_orders() -> None:
    assert rank_sum_p_value([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / comb(10, 5))
    assert rank_sum_p_value([1, 3], [2, 4]) == pytest.approx(2 * 2 / comb(4, 2))
    assert rank_sum_p_value([1, 1, 1], [1, 1, 1]) == 1.0
    assert rank_sum_p_value([2, 2], [1, 1, 1]) == pytest.approx(2 / comb(5, 2))


@pytest.mark.parametrize("sizes", [(5, 5), (4, 7), (9, 6)])
def test_rank_sum_p_value_equals_scipy(sizes: tuple[int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(sizes)
    for shift in (0, 0.5, 2):
        first, second = random.normal(0, 1, sizes[0]), random.normal(shift, 1, sizes[1])
        expected = stats.mannwhitneyu(first, second, method="exact").pvalue
        assert rank_sum_p_value(first.tolist(), second.tolist()) == pytest.approx(expected)


def test_compare_records_with_large_change_reports_every_metric() -> None:
    assert verdicts(synthetic_record(2.0, seed=1), synthetic_record(3.0, seed=2)) == {Verdict.WORSE}
    assert verdicts(synthetic_record(3.0, seed=1), synthetic_record(2.0, seed=2)) == {
        Verdict.BETTER
    }


def test_compare_records_with_higher_throughput_is_better() -> None:
    found = changes(synthetic_record(2.0, seed=1), synthetic_record(1.0, seed=2))[
        "throughput from memory"
    ]
    assert (found.verdict, found.ratio) == (Verdict.BETTER, pytest.approx(2, rel=0.05))


def test_classify_change_of_noise_rarely_reports_a_change() -> None:
    """At a level of 1 % and 200 pairs, more than 8 false alarms have probability < 0.0003."""
    rounds = np.random.default_rng(1).normal(2.0, 0.1, (200, 2, 5)).tolist()
    alarms = [
        classify_change(metric(first), metric(second)).verdict is not Verdict.UNCHANGED
        for first, second in rounds
    ]
    assert sum(alarms) <= 8


def test_classify_change_of_four_deviations_is_rarely_missed() -> None:
    """Five rounds each do not overlap with a probability above 0.9."""
    random = np.random.default_rng(2)
    pairs = zip(
        random.normal(2.0, 0.1, (100, 5)).tolist(),
        random.normal(2.4, 0.1, (100, 5)).tolist(),
        strict=True,
    )
    assert (
        sum(
            classify_change(metric(first), metric(second)).verdict is Verdict.WORSE
            for first, second in pairs
        )
        >= 85
    )


def test_compare_records_with_change_within_spread_is_unchanged() -> None:
    pair = synthetic_record(2.0, seed=3, spread=0.2), synthetic_record(2.04, seed=4, spread=0.2)
    assert changes(*pair)["throughput from memory"].verdict is Verdict.UNCHANGED


def test_compare_records_with_significant_but_small_change_is_unchanged() -> None:
    pair = synthetic_record(2.0, seed=3, spread=1e-6), synthetic_record(2.01, seed=4, spread=1e-6)
    found = changes(*pair)["throughput from memory"]
    assert found.p_value < 0.01
    assert found.verdict is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("machine_ms", "expected"),
    [
        (1.0, Verdict.WORSE),
        (1.04, Verdict.WORSE),
        (1.3, Verdict.MACHINE_DRIFT),
        (0.8, Verdict.MACHINE_DRIFT),
    ],
)
def test_compare_records_with_machine_drift_reports_larger_changes_only(
    machine_ms: float, expected: Verdict
) -> None:
    """A 10 % change exceeds a machine drift of 4 %, but not of 30 % (either way)."""
    pair = synthetic_record(2.0, seed=3), synthetic_record(2.2, seed=4, machine_ms=machine_ms)
    found = changes(*pair)
    assert (
        found["total p50, process CPU"].verdict
        is found["throughput from memory"].verdict
        is expected
    )
    assert found["peak memory, host"].verdict is Verdict.WORSE, (
        "memory does not depend on machine speed"
    )


def test_compare_records_of_busy_machine_gives_no_verdict_on_wall_times() -> None:
    busy = replace(synthetic_record(2.0, seed=3), machine_load=MachineLoad(2, 5.0, 0.6, 0.0))
    for pair in ((busy, synthetic_record(4.0, seed=4)), (synthetic_record(4.0, seed=4), busy)):
        found = changes(*pair)
        assert (
            found["total p50, wall"].verdict
            is found["throughput from memory"].verdict
            is Verdict.MACHINE_BUSY
        )
        assert found["total p50, process CPU"].verdict in (Verdict.BETTER, Verdict.WORSE)
        assert found["peak memory, host"].verdict in (Verdict.BETTER, Verdict.WORSE)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_compare_records_with_too_few_rounds_is_inconclusive(rounds: int) -> None:
    assert verdicts(synthetic_record(2.0, rounds), synthetic_record(20.0, rounds)) == {
        Verdict.INCONCLUSIVE
    }


def test_compare_records_matches_configurations_by_key() -> None:
    one, four = synthetic_record(), synthetic_record(num_faces=4)
    both = replace(one, results=[*four.results, *one.results])
    found = compare_records(one, both)
    assert list(found.changes) == [one.results[0].configuration.key]
    assert [line for line in found.unmatched if "4 faces" in line and "second" in line]
    alone = compare_records(one, four)
    assert list(alone.changes) == [
        f"{one.results[0].configuration.key} -> {four.results[0].configuration.key}"
    ]
    eight = replace(
        one,
        results=[*synthetic_record(num_faces=8).results, *synthetic_record(num_faces=2).results],
    )
    with pytest.raises(BenchError, match="no configuration in common"):
        compare_records(both, eight)


def test_compare_records_notes_other_differences() -> None:
    other = replace(synthetic_record(), machine={"processor": "another"}, settings={"frames": 9})
    notes = compare_records(synthetic_record(), other).notes
    assert "processor: synthetic -> another" in notes
    assert "frames: 40 -> 9" in notes
    assert "second record: a <note>" in notes


def test_regressions_are_metrics_worse_by_more_than_the_limit() -> None:
    before, after = synthetic_record(1.0, seed=1), synthetic_record(1.2, seed=2)
    comparison = compare_records(before, after)
    assert not compare_records(after, before).regressions(5)
    worse = comparison.regressions(5)
    assert any("total p50, wall" in line and "+" in line for line in worse)
    assert any("throughput from memory" in line and "-" in line for line in worse)
    assert not comparison.regressions(50)


def test_regressions_of_too_few_rounds_raise() -> None:
    records = (synthetic_record(1.0, rounds=2), synthetic_record(2.0, rounds=2, seed=1))
    with pytest.raises(BenchError, match="--rounds 5"):
        compare_records(*records).regressions(5)
