"""The decision that something changed, on records whose true difference and spread are known."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from faceaffect.bench.compare import Change, Verdict, compare_records, judge, rank_sum_p_value
from faceaffect.bench.configuration import BenchError
from faceaffect.bench.machine_load import MachineLoad
from faceaffect.bench.metrics import Metric
from faceaffect.bench.record import Record
from tests.sdk.bench.synthetic_records import made_up_record


def changes(before: Record, after: Record) -> dict[str, Change]:
    (found,) = compare_records(before, after).changes.values()
    return {change.before.name: change for change in found}


def verdicts(before: Record, after: Record) -> set[Verdict]:
    """Of all figures that the level decides: not the dropped frames, not the machine itself."""
    found = changes(before, after).values()
    return {
        one.verdict for one in found if one.before.unit != "%" and one.before.group != "reference"
    }


def metric(rounds: list[float]) -> Metric:
    return Metric("stages", "cpu", "whole", "ms", rounds)


def test_p_value_counts_orders() -> None:
    assert rank_sum_p_value([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / comb(10, 5))
    assert rank_sum_p_value([1, 3], [2, 4]) == pytest.approx(2 * 2 / comb(4, 2))
    assert rank_sum_p_value([1, 1, 1], [1, 1, 1]) == 1.0
    assert rank_sum_p_value([2, 2], [1, 1, 1]) == pytest.approx(2 / comb(5, 2))


@pytest.mark.parametrize("sizes", [(5, 5), (4, 7), (9, 6)])
def test_p_value_is_scipy_s(sizes: tuple[int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(sizes)
    for shift in (0, 0.5, 2):
        first, second = random.normal(0, 1, sizes[0]), random.normal(shift, 1, sizes[1])
        expected = stats.mannwhitneyu(first, second, method="exact").pvalue
        assert rank_sum_p_value(first.tolist(), second.tolist()) == pytest.approx(expected)


def test_a_change_well_beyond_the_spread_is_found_in_every_figure() -> None:
    assert verdicts(made_up_record(2.0, seed=1), made_up_record(3.0, seed=2)) == {Verdict.WORSE}
    assert verdicts(made_up_record(3.0, seed=1), made_up_record(2.0, seed=2)) == {Verdict.BETTER}


def test_more_frames_a_second_is_better() -> None:
    found = changes(made_up_record(2.0, seed=1), made_up_record(1.0, seed=2))[
        "throughput from memory"
    ]
    assert (found.verdict, found.ratio) == (Verdict.BETTER, pytest.approx(2, rel=0.05))


def test_noise_is_seldom_taken_for_a_change() -> None:
    """Two runs of the same: at a level of 1 % and 200 pairs, more than 8 alarms have a probability
    below 0.0003.
    """
    rounds = np.random.default_rng(1).normal(2.0, 0.1, (200, 2, 5)).tolist()
    alarms = [
        judge(metric(first), metric(second)).verdict is not Verdict.SAME for first, second in rounds
    ]
    assert sum(alarms) <= 8


def test_a_change_of_four_deviations_is_seldom_missed() -> None:
    """Five rounds each do not overlap with probability above 0.9 then."""
    random = np.random.default_rng(2)
    pairs = zip(
        random.normal(2.0, 0.1, (100, 5)).tolist(),
        random.normal(2.4, 0.1, (100, 5)).tolist(),
        strict=True,
    )
    assert (
        sum(
            judge(metric(first), metric(second)).verdict is Verdict.WORSE for first, second in pairs
        )
        >= 85
    )


def test_a_change_within_the_spread_is_not_claimed() -> None:
    pair = made_up_record(2.0, seed=3, spread=0.2), made_up_record(2.04, seed=4, spread=0.2)
    assert changes(*pair)["throughput from memory"].verdict is Verdict.SAME


def test_a_change_too_small_to_matter_is_none_however_sure() -> None:
    pair = made_up_record(2.0, seed=3, spread=1e-6), made_up_record(2.01, seed=4, spread=1e-6)
    found = changes(*pair)["throughput from memory"]
    assert found.p_value < 0.01
    assert found.verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("machine_ms", "expected"),
    [(1.0, Verdict.WORSE), (1.04, Verdict.WORSE), (1.3, Verdict.MACHINE), (0.8, Verdict.MACHINE)],
)
def test_a_change_must_exceed_that_of_the_machine(machine_ms: float, expected: Verdict) -> None:
    """2.0 to 2.2: more than a machine that became 4 % slower, no more than one that became 30 %
    slower or faster.
    """
    pair = made_up_record(2.0, seed=3), made_up_record(2.2, seed=4, machine_ms=machine_ms)
    found = changes(*pair)
    assert (
        found["whole p50, process CPU"].verdict
        is found["throughput from memory"].verdict
        is expected
    )
    assert found["peak memory, host"].verdict is Verdict.WORSE, "memory does not run"


def test_wall_times_of_a_busy_machine_are_not_believed() -> None:
    busy = replace(made_up_record(2.0, seed=3), load=MachineLoad(2, 5.0, 0.6, 0.0))
    for pair in ((busy, made_up_record(4.0, seed=4)), (made_up_record(4.0, seed=4), busy)):
        found = changes(*pair)
        assert (
            found["whole p50, wall"].verdict
            is found["throughput from memory"].verdict
            is Verdict.BUSY
        )
        assert found["whole p50, process CPU"].verdict in (Verdict.BETTER, Verdict.WORSE)
        assert found["peak memory, host"].verdict in (Verdict.BETTER, Verdict.WORSE)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_too_few_rounds_decide_nothing(rounds: int) -> None:
    assert verdicts(made_up_record(2.0, rounds), made_up_record(20.0, rounds)) == {Verdict.UNKNOWN}


def test_configurations_are_matched_by_what_they_are() -> None:
    one, four = made_up_record(), made_up_record(faces=4)
    both = replace(one, results=[*four.results, *one.results])
    found = compare_records(one, both)
    assert list(found.changes) == [one.results[0].configuration.key]
    assert [line for line in found.unmatched if "4 faces" in line and "second" in line]
    alone = compare_records(one, four)
    assert list(alone.changes) == [
        f"{one.results[0].configuration.key} -> {four.results[0].configuration.key}"
    ]
    eight = replace(
        one, results=[*made_up_record(faces=8).results, *made_up_record(faces=2).results]
    )
    with pytest.raises(BenchError, match="no configuration in common"):
        compare_records(both, eight)


def test_what_else_differs_is_said() -> None:
    other = replace(made_up_record(), machine={"processor": "another"}, settings={"frames": 9})
    notes = compare_records(made_up_record(), other).notes
    assert "processor: made up -> another" in notes
    assert "frames: 40 -> 9" in notes
    assert "second record: a <note>" in notes
