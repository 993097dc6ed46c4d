"""What happens when: runs of one expression, and the strongest moments of a track."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import AU_COLUMNS, COLUMN_INDEX, EXPRESSION_COLUMNS
from faceaffect.report.timeline import Timeline

_MIN_RUN_S: Final = 0.4
_MIN_RUN_FRACTION: Final = 0.02
_MAX_RUNS: Final = 6
_MAX_AUS: Final = 3
_MIN_VALENCE: Final = 0.15  # peaks below are not worth a mention


class ExpressionRun(NamedTuple):
    """An expression that was the most probable one for some time."""

    name: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


class Moment(NamedTuple):
    """A moment that is worth looking at; `end_s` is `start_s` where it is a peak."""

    start_s: float
    end_s: float
    label: str


def expression_runs(timeline: Timeline) -> list[ExpressionRun]:
    """Return the expression runs of a track in order; short ones are left out, gaps end them."""
    known = np.flatnonzero(timeline.count > 0)
    if not len(known):
        return []
    probability = timeline.mean[known][:, EXPRESSION_COLUMNS]
    times_s, half = timeline.time_s[known], timeline.bin_s / 2
    shortest = max(_MIN_RUN_S, _MIN_RUN_FRACTION * float(times_s[-1] - times_s[0]))
    is_known = np.isfinite(probability).all(axis=1)
    top = np.where(is_known, np.nan_to_num(probability).argmax(axis=1), -1)
    gap = np.r_[True, np.diff(times_s) > timeline.gap_s]
    begins = np.flatnonzero(gap | np.r_[True, np.diff(top) != 0])
    found: list[ExpressionRun] = []
    for first, end in zip(begins, [*begins[1:], len(top)], strict=True):
        if top[first] < 0:
            continue
        name = EXPRESSION_NAMES[top[first]]
        one = ExpressionRun(name, float(times_s[first] - half), float(times_s[end - 1] + half))
        if one.duration_s < shortest:
            continue
        is_same = bool(found) and found[-1].name == name
        if is_same and one.start_s - found[-1].end_s < shortest:  # only short ones between
            found[-1] = ExpressionRun(name, found[-1].start_s, one.end_s)
        else:
            found.append(one)
    return found


def moments(timeline: Timeline) -> list[Moment]:
    """Return the moments of a track, in order of time."""
    found = [
        Moment(one.start_s, one.end_s, one.name)
        for one in sorted(expression_runs(timeline), key=lambda one: -one.duration_s)
        if one.name != "neutral"
    ][:_MAX_RUNS]
    found += _peaks(timeline)
    active = np.nan_to_num(timeline.au_active * timeline.count[:, None]).sum(axis=0)
    for k in np.argsort(-active, kind="stable")[:_MAX_AUS]:
        if active[k]:
            values = np.nan_to_num(timeline.maximum[:, AU_COLUMNS][:, k], nan=-1.0)
            time_s = float(timeline.time_s[values.argmax()])
            label = f"strongest {AU_NAMES[k]} {AU_MEANINGS[AU_NAMES[k]]}"
            found.append(Moment(time_s, time_s, label))
    return sorted(found)


def _peaks(timeline: Timeline) -> list[Moment]:
    valence = timeline.mean[:, COLUMN_INDEX["valence"]]
    if not np.isfinite(valence).any():
        return []
    found = []
    for label, sign in (("most pleasant", 1), ("most unpleasant", -1)):
        values = np.where(np.isfinite(valence), sign * valence, -np.inf)
        if values.max() >= _MIN_VALENCE:
            time_s = float(timeline.time_s[values.argmax()])
            text = f"{valence[values.argmax()]:+.2f}".replace("-", "\N{MINUS SIGN}")
            found.append(Moment(time_s, time_s, f"{label}, valence {text}"))
    return found
