"""What changed between two records, and what only seems to have."""

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

LEVEL: Final = 0.01
"""Probability with which rounds that do not differ are taken to differ."""
LEAST_CHANGE: Final = 0.01
"""A change below 1 % is none: placement in memory alone moves a figure by as much."""


class Verdict(Enum):
    BETTER = "better"
    WORSE = "worse"
    SAME = "within the spread"
    MACHINE = "no more than the machine itself"
    BUSY = "machine too busy to tell"
    UNKNOWN = "too few rounds to tell"


@dataclass(frozen=True, slots=True)
class Change:
    """One figure before and after; `ratio` is after over before."""

    before: Metric
    after: Metric
    p_value: float
    verdict: Verdict

    @property
    def ratio(self) -> float:
        return self.after.median / self.before.median if self.before.median else float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes` by configuration; `unmatched` are configurations of one record alone; `notes` is
    what else differs.
    """

    changes: dict[str, list[Change]]
    unmatched: list[str]
    notes: list[str]


def compare_records(before: Record, after: Record) -> Comparison:
    """Configurations are matched by what they are; of two records with one each, those two are.
    Raises BenchError.
    """
    old = {result.configuration.key: result for result in before.results}
    new = {result.configuration.key: result for result in after.results}
    pairs = {key: (old[key], new[key]) for key in old if key in new}
    unmatched = [f"only in the first: {key}" for key in old if key not in new]
    unmatched += [f"only in the second: {key}" for key in new if key not in old]
    if not pairs and len(old) == len(new) == 1:
        (first,), (second,) = old, new
        pairs, unmatched = {f"{first} -> {second}": (old[first], new[second])}, []
    if not pairs:
        raise BenchError(f"the records have no configuration in common: {'; '.join(unmatched)}")
    is_busy = any(record.load is not None and record.load.is_busy for record in (before, after))
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
    return [judge(old, now, drift.get(old.clock, 0.0), is_busy) for old, now in pairs]


def judge(
    before: Metric, after: Metric, machine_drift: float = 0.0, is_busy: bool = False
) -> Change:
    """Whether rounds of one figure differ by more than chance, by more than `LEAST_CHANGE`, and by
    more than the machine.

    `machine_drift` is the logarithm of how much longer the fixed work beside the rounds took, on
    the figure's clock. Rounds of one record share the state that the machine is in, so that
    their spread knows nothing of its change. On a busy machine no change of a wall time is
    believed: it is the others' doing as likely as ours.
    """
    p_value = rank_sum_p_value(before.rounds, after.rounds)
    difference = after.median - before.median
    if _least_p_value(len(before.rounds), len(after.rounds)) > LEVEL:
        verdict = Verdict.UNKNOWN
    elif p_value > LEVEL or abs(difference) <= LEAST_CHANGE * abs(before.median):
        verdict = Verdict.SAME
    elif abs(_log_ratio(before.median, after.median)) <= abs(machine_drift):
        verdict = Verdict.MACHINE
    elif is_busy and before.clock == "wall":
        verdict = Verdict.BUSY
    else:
        verdict = Verdict.BETTER if (difference > 0) == before.is_higher_better else Verdict.WORSE
    return Change(before, after, p_value, verdict)


def _log_ratio(before: float, after: float) -> float:
    """Infinite where one of them is 0: no drift explains that."""
    return math.log(after / before) if before > 0 and after > 0 else math.inf


def rank_sum_p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Exact two-sided probability of ranks as unlike as these if all values came from one
    distribution.

    Wilcoxon's rank sum test, by counting all ways to choose the first sample's ranks; equal
    values share their mean rank. The two-sided value is twice the smaller tail.
    """
    values = np.concatenate([first, second])
    # Twice the mean ranks: whole numbers.
    doubled = [int((values < value).sum() + (values <= value).sum() + 1) for value in values]
    size, total = len(first), sum(doubled)
    ways = [[0] * (total + 1) for _ in range(size + 1)]  # [chosen][sum of their ranks]
    ways[0][0] = 1
    for rank in doubled:
        for chosen in range(size, 0, -1):
            row, below = ways[chosen], ways[chosen - 1]
            for sum_ in range(total, rank - 1, -1):
                row[sum_] += below[sum_ - rank]
    seen, all_ways = sum(doubled[:size]), sum(ways[size])
    lower, upper = sum(ways[size][: seen + 1]), sum(ways[size][seen:])
    return min(1.0, 2 * min(lower, upper) / all_ways)


def _least_p_value(first: int, second: int) -> float:
    """What two samples without any overlap would give."""
    return rank_sum_p_value(range(first), range(first, first + second)) if first and second else 1.0


def _differences(before: Record, after: Record) -> list[str]:
    notes = []
    for name in sorted({*before.machine, *after.machine}):
        old, new = before.machine.get(name, "none"), after.machine.get(name, "none")
        if old != new:
            notes.append(f"{name}: {old} -> {new}")
    for name in sorted({*before.settings, *after.settings} - {"source"}):
        # As JSON has lists where a run has tuples.
        settings = [_plain(record.settings.get(name)) for record in (before, after)]
        if settings[0] != settings[1]:
            notes.append(f"{name}: {settings[0]} -> {settings[1]}")
    for which, record in (("first", before), ("second", after)):
        notes += [f"{which} record: {note}" for note in record.notes]
    return notes


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
