"""Plots of a record, as SVG to stand in a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.metrics import CLOCK_NAMES
from faceaffect.bench.record import Record, Result
from faceaffect.bench.stage_timing import ALL_STAGES, DECODE, TOTAL, WRITE
from faceaffect.drawing.svg_figure import STYLE, matplotlib_part, svg_text

_WIDTH_IN: Final = 9.0
_BINS: Final = 60
_LABEL_LETTERS: Final = 44


def require_matplotlib() -> None:
    """Raise BenchError where plots cannot be drawn."""
    try:
        matplotlib_part("figure")
    except ImportError as error:
        raise BenchError(
            f'the HTML report draws with matplotlib, which cannot be used ({error}): pip install "faceaffect[bench]"; '
            "or write --save-json and make the report elsewhere with --load"
        ) from None


def plot_histogram(result: Result) -> str:
    """How often a frame took how long, whole, on each clock; logarithmic, because the tail is what
    hurts.
    """
    with _figure(2.6) as (axes, svg):
        clocks = result.rounds[0].stages.clocks
        samples = {clock: np.array(_joined(result, clock, TOTAL)) for clock in clocks}
        least = max(1e-3, min(float(values.min()) for values in samples.values()))
        largest = max(float(values.max()) for values in samples.values())
        bins = np.geomspace(least, max(largest, 1.01 * least), _BINS)
        for clock, values in samples.items():
            axes.hist(
                values,
                bins,
                alpha=0.55,
                label=f"{_clock(clock)}, median {np.median(values):.2f} ms",
            )
        axes.set(xscale="log", xlabel="ms per frame (whole)", ylabel="frames")
        _plain_ticks(axes)
        axes.legend(frameon=False)
        return svg()


def plot_over_time(result: Result) -> str:
    """Each frame in the order of measuring; a line where a round ends."""
    with _figure(2.6) as (axes, svg):
        for clock in result.rounds[0].stages.clocks:
            values = _joined(result, clock, TOTAL)
            axes.plot(values, linewidth=0.7, label=_clock(clock))
        ends = np.cumsum([len(one.stages.clocks["wall"][TOTAL]) for one in result.rounds])
        for end in ends[:-1]:
            axes.axvline(end - 0.5, color="#999999", linewidth=0.6, linestyle=":")
        axes.set(yscale="log", xlabel="frame, dotted lines between rounds", ylabel="ms (whole)")
        _plain_ticks(axes, "y")
        axes.legend(frameon=False)
        return svg()


def plot_live(result: Result) -> str:
    """Share of the frames of a camera that are answered within a time; empty text without a camera."""
    rates = list(result.rounds[0].live)
    if not any(one.live[fps].latency_ms for one in result.rounds for fps in rates):
        return ""
    with _figure(2.4) as (axes, svg):
        for fps in rates:
            values = np.sort(np.concatenate([one.live[fps].latency_ms for one in result.rounds]))
            delivered = sum(one.live[fps].delivered for one in result.rounds)
            dropped = sum(one.live[fps].dropped for one in result.rounds)
            shares = 100 * np.arange(1, len(values) + 1) / delivered
            axes.step(
                values, shares, where="post", label=f"{fps} fps, {dropped} of {delivered} dropped"
            )
        axes.set(
            xscale="log",
            xlabel="ms from the camera's frame to its result",
            ylabel="% of all frames",
            ylim=(0, 101),
        )
        _plain_ticks(axes)
        axes.legend(frameon=False, loc="lower right")
        return svg()


def plot_stages(record: Record, clock: str) -> str:
    """Mean time of each stage, stacked, a bar for each configuration."""
    results = [result for result in record.results if clock in result.rounds[0].stages.clocks]
    if not results:
        return ""
    with _figure(0.9 + 0.42 * len(results)) as (axes, svg):
        left = np.zeros(len(results))
        colors = _colors()
        for stage, color in zip(ALL_STAGES, colors, strict=False):
            means = np.array(
                [np.mean(_joined(result, clock, stage) or [0.0]) for result in results]
            )
            if not means.any():
                continue
            axes.barh(range(len(results)), means, left=left, color=color, label=stage, height=0.62)
            left += means
        names = _labels([result.configuration for result in results])
        axes.set(
            xlabel=f"mean ms per frame, {_clock(clock)}",
            yticks=range(len(results)),
            yticklabels=names,
        )
        axes.invert_yaxis()
        axes.legend(
            frameon=False, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8
        )
        return svg()


def plot_against(record: Record, field: str) -> str:
    """Whole, median with the rounds' range, against `faces` or `size`; a line for what else is
    equal.

    Empty text where fewer than two values of it were measured.
    """
    place: Callable[[Result], float] = _held_faces if field == "faces" else _megapixels
    lines: dict[Configuration, list[Result]] = {}
    for result in record.results:
        own = result.configuration
        rest = replace(own, faces=None) if field == "faces" else replace(own, size=None)
        lines.setdefault(rest, []).append(result)
    lines = {
        rest: sorted(results, key=place) for rest, results in lines.items() if len(results) > 1
    }
    if not lines:
        return ""
    with _figure(2.6) as (axes, svg):
        clock = (
            "cpu"
            if all("cpu" in r.rounds[0].stages.clocks for rs in lines.values() for r in rs)
            else "wall"
        )
        for (_, results), name in zip(lines.items(), _labels(list(lines)), strict=True):
            rounds = [
                [float(np.median(one.stages.clocks[clock][TOTAL])) for one in result.rounds]
                for result in results
            ]
            middle = np.array([np.median(values) for values in rounds])
            below = middle - [min(values) for values in rounds]
            above = np.array([max(values) for values in rounds]) - middle
            axes.errorbar(
                [place(r) for r in results],
                middle,
                [below, above],
                marker="o",
                capsize=3,
                label=name,
            )
        ticks = {place(r): r.workload.size for results in lines.values() for r in results}
        if field == "faces":
            axes.set(xlabel="faces held", xticks=sorted({round(at) for at in ticks}))
        else:
            axes.set(
                xlabel="frame size",
                xticks=list(ticks),
                xticklabels=[f"{w}x{h}" for w, h in ticks.values()],
            )
        axes.set(ylabel=f"median ms, {_clock(clock)}", ylim=(0, None))
        if len(lines) > 1:
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return svg()


def short_names(configurations: list[Configuration]) -> list[str]:
    """Each configuration by what sets it apart from the others."""
    parts = [one.key.split(", ") for one in configurations]
    if len(parts) < 2 or len({len(one) for one in parts}) > 1:
        return [one.key for one in configurations]
    differing = [place for place in range(len(parts[0])) if len({one[place] for one in parts}) > 1]
    return [", ".join(one[place] for place in differing) for one in parts]


def _labels(configurations: list[Configuration]) -> list[str]:
    """Names that leave room for the drawing: none for one alone, the end of a long one."""
    names = short_names(configurations) if len(configurations) > 1 else [""]
    return [
        name if len(name) <= _LABEL_LETTERS else "..." + name[3 - _LABEL_LETTERS :]
        for name in names
    ]


def _joined(result: Result, clock: str, stage: str) -> list[float]:
    return [ms for one in result.rounds for ms in one.stages.clocks[clock].get(stage, [])]


def _clock(clock: str) -> str:
    return CLOCK_NAMES.get(clock, clock)


def _held_faces(result: Result) -> float:
    return float(np.mean([one.stages.faces for one in result.rounds]))


def _megapixels(result: Result) -> float:
    return result.workload.size[0] * result.workload.size[1] / 1e6


def _colors() -> list[Any]:
    """One for each stage; decode and write, which are no part of the whole, in grays."""
    bright = iter(matplotlib_part().colormaps["tab10"].colors)
    grays = {DECODE: "#8c8c8c", WRITE: "#c4c4c4"}
    return [grays.get(stage) or next(bright) for stage in ALL_STAGES]


def _plain_ticks(axes: Any, which: str = "x") -> None:
    """1, 2, 5, 10 instead of powers of ten."""
    ticker, axis = matplotlib_part("ticker"), axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


@contextmanager
def _figure(height_in: float) -> Iterator[tuple[Any, Callable[[], str]]]:
    """A figure with one pair of axes, and what turns it into SVG. Never touches the caller's
    matplotlib settings.
    """
    require_matplotlib()
    with matplotlib_part().rc_context(STYLE):
        figure = matplotlib_part("figure").Figure(
            figsize=(_WIDTH_IN, height_in), layout="constrained"
        )
        axes = figure.subplots()
        yield axes, lambda: svg_text(figure)
