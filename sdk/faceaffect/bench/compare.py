"""Comparison of two records: which metrics changed significantly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.metrics import Metric, metrics_of
from faceaffect.bench.record import Record, Result

SIGNIFICANCE_LEVEL: Final = 0.01
"""Probability of reporting a change between rounds that do not differ."""
MIN_RELATIVE_CHANGE: Final = 0.01
"""Smaller changes are not reported: placement in memory alone moves a metric by 1 %."""


class Verdict(Enum):
    """Outcome of comparing one metric."""

    BETTER = "better"
    WORSE = "worse"
    UNCHANGED = "within the spread"
    MACHINE_DRIFT = "within machine drift"
    MACHINE_BUSY = "machine too busy to tell"
    INCONCLUSIVE = "too few rounds to tell"


@dataclass(frozen=True, slots=True)
class Change:
    """One metric before and after."""

    before: Metric
    after: Metric
    p_value: float
    verdict: Verdict

    @property
    def ratio(self) -> float:
        """Median after over median before; NaN if the latter is 0."""
        return self.after.median / self.before.median if self.before.median else float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences of two records.

    `changes` are keyed by configuration, `unmatched` names configurations of one record only, and
    `notes` lists other differences, such as versions.
    """

    changes: dict[str, list[Change]]
    unmatched: list[str]
    notes: list[str]

    def regressions(self, percent: float) -> list[str]:
        """Return metrics that got worse by more than `percent`, each described in one line.

        Raises:
            BenchError: The records have too few rounds to tell.
        """
        changes = [(key, change) for key, group in self.changes.items() for change in group]
        if any(change.verdict is Verdict.INCONCLUSIVE for _, change in changes):
            raise BenchError(
                "expected enough rounds to tell a change from chance, got "
                f"{min(len(change.after.rounds) for _, change in changes)}; "
                "measure both records with --rounds 5 or more"
            )
        return [
            f"{key}: {change.after.name} {100 * (change.ratio - 1):+.1f} %"
            for key, change in changes
            if change.verdict is Verdict.WORSE and not abs(change.ratio - 1) <= percent / 100
        ]


def compare_records(before: Record, after: Record) -> Comparison:
    """Compare the configurations that two records have in common.

    Two records with one configuration each are compared even if the configurations differ.

    Raises:
        BenchError: The records have no configuration in common.
    """
    old = {result.configuration.key: result for result in before.results}
    new = {result.configuration.key: result for result in after.results}
    pairs = {key: (old[key], new[key]) for key in old if key in new}
    unmatched = [f"only in the first: {key}" for key in old if key not in new]
    unmatched += [f"only in the second: {key}" for key in new if key not in old]
    if not pairs and len(old) == len(new) == 1:
        (first,) = old
        (second,) = new
        pairs = {f"{first} -> {second}": (old[first], new[second])}
        unmatched = []
    if not pairs:
        raise BenchError(f"the records have no configuration in common: {'; '.join(unmatched)}")
    loads = (before.machine_load, after.machine_load)
    is_busy = any(load is not None and load.is_busy for load in loads)
    changes = {key: _changes(*pair, is_busy) for key, pair in pairs.items()}
    return Comparison(changes, unmatched, _differences(before, after))


def _changes(before: Result, after: Result, is_busy: bool) -> list[Change]:
    new = {metric.name: metric for metric in metrics_of(after)}
    pairs = [(metric, new[metric.name]) for metric in metrics_of(before) if metric.name in new]
    drift = {
        old.clock: _log_ratio(old.median, now.median)
        for old, now in pairs
        if old.group == "reference"
    }
    return [classify_change(old, now, drift.get(old.clock, 0.0), is_busy) for old, now in pairs]


def classify_change(
    before: Metric, after: Metric, machine_drift: float = 0.0, is_busy: bool = False
) -> Change:
    """Test whether the rounds of one metric differ by more than chance and the machine explain.

    Args:
        before: Metric of the first record.
        after: Metric of the second record.
        machine_drift: Logarithm of the ratio (after over before) of the reference workload's time
            on the metric's clock. Rounds of one record share the state of the machine, so their
            spread does not include its change.
        is_busy: Whether other processes disturbed either run. Changes of wall times are then not
            attributed to the software.
    """
    p_value = rank_sum_p_value(before.rounds, after.rounds)
    difference = after.median - before.median
    if _min_p_value(len(before.rounds), len(after.rounds)) > SIGNIFICANCE_LEVEL:
        verdict = Verdict.INCONCLUSIVE
    elif p_value > SIGNIFICANCE_LEVEL or abs(difference) <= MIN_RELATIVE_CHANGE * abs(
        before.median
    ):
        verdict = Verdict.UNCHANGED
    elif abs(_log_ratio(before.median, after.median)) <= abs(machine_drift):
        verdict = Verdict.MACHINE_DRIFT
    elif is_busy and before.clock == "wall":
        verdict = Verdict.MACHINE_BUSY
    else:
        verdict = Verdict.BETTER if (difference > 0) == before.is_higher_better else Verdict.WORSE
    return Change(before, after, p_value, verdict)


def _log_ratio(before: float, after: float) -> float:
    """Return log(after / before); infinite if one of them is 0, which no drift explains."""
    return math.log(after / before) if before > 0 and after > 0 else math.inf


def rank_sum_p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the exact two-sided p-value of Wilcoxon's rank-sum test.

    All choices of the first sample's ranks are counted by dynamic programming; ties share their
    mean rank. The two-sided value is twice the smaller tail.
    """
    values = np.concatenate([first, second])
    # Twice the mean ranks are integers.
    doubled_ranks = [int((values < value).sum() + (values <= value).sum() + 1) for value in values]
    size = len(first)
    max_sum = sum(doubled_ranks)
    ways = [[0] * (max_sum + 1) for _ in range(size + 1)]  # [ranks chosen][their sum]
    ways[0][0] = 1
    for rank in doubled_ranks:
        for chosen in range(size, 0, -1):
            row = ways[chosen]
            row_below = ways[chosen - 1]
            for rank_sum in range(max_sum, rank - 1, -1):
                row[rank_sum] += row_below[rank_sum - rank]
    observed = sum(doubled_ranks[:size])
    lower_tail = sum(ways[size][: observed + 1])
    upper_tail = sum(ways[size][observed:])
    return min(1.0, 2 * min(lower_tail, upper_tail) / sum(ways[size]))


def _min_p_value(first: int, second: int) -> float:
    """Return the p-value of two samples of these sizes that do not overlap at all."""
    return rank_sum_p_value(range(first), range(first, first + second)) if first and second else 1.0


def _differences(before: Record, after: Record) -> list[str]:
    notes = []
    for name in sorted({*before.machine, *after.machine}):
        old = before.machine.get(name, "none")
        new = after.machine.get(name, "none")
        if old != new:
            notes.append(f"{name}: {old} -> {new}")
    for name in sorted({*before.settings, *after.settings} - {"source"}):
        old_value, new_value = (_as_json(record.settings.get(name)) for record in (before, after))
        if old_value != new_value:
            notes.append(f"{name}: {old_value} -> {new_value}")
    for label, record in (("first", before), ("second", after)):
        notes += [f"{label} record: {note}" for note in record.notes]
    return notes


def _as_json(value: object) -> object:
    """Return tuples as lists, which a record loaded from JSON has instead."""
    return list(value) if isinstance(value, tuple) else value
