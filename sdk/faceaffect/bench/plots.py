"""Plots of a record, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from faceaffect.bench.configuration import Configuration
from faceaffect.bench.metrics import CLOCK_NAMES
from faceaffect.bench.record import Record, Result
from faceaffect.bench.result_table import titles
from faceaffect.bench.stage_timing import ALL_STAGES, DECODE, TOTAL, WRITE
from faceaffect.drawing.svg_figure import styled_figure, svg_text

_WIDTH_IN: Final = 9.0
_BINS: Final = 60
_MAX_LABEL_LETTERS: Final = 44


def plot_histogram(result: Result) -> str:
    """Plot the histogram of total latency by wall clock, with a logarithmic axis for the tail.

    Frames in which the detector ran are set apart: where it runs inside of frames they are a
    second hump.
    """
    with styled_figure(_WIDTH_IN, 2.6) as figure:
        axes = figure.subplots()
        total = np.array(_all_samples(result, "wall", TOTAL))
        detects = np.array(_all_samples(result, "wall", "detect")) > 0
        lowest = max(1e-3, float(total.min()))
        bins = np.geomspace(lowest, max(float(total.max()), 1.01 * lowest), _BINS)
        groups = (("without the detector", total[~detects]), ("with the detector", total[detects]))
        parts = {name: values for name, values in groups if len(values)}
        labels = [
            f"{len(values)} frames {name}, median {np.median(values):.2f} ms"
            for name, values in parts.items()
        ]
        axes.hist(list(parts.values()), bins, stacked=True, label=labels)
        axes.set(xscale="log", xlabel="ms per frame (total, wall)", ylabel="frames")
        _format_log_ticks(axes.xaxis)
        axes.legend(frameon=False)
        return svg_text(figure)


def plot_over_time(result: Result) -> str:
    """Plot the total latency of each frame in measurement order, with a line between rounds."""
    with styled_figure(_WIDTH_IN, 2.6) as figure:
        axes = figure.subplots()
        for clock in result.rounds[0].stages.clocks:
            axes.plot(_all_samples(result, clock, TOTAL), linewidth=0.7, label=_clock_name(clock))
        ends = np.cumsum([len(one.stages.clocks["wall"][TOTAL]) for one in result.rounds])
        for end in ends[:-1]:
            axes.axvline(end - 0.5, color="#999999", linewidth=0.6, linestyle=":")
        axes.set(yscale="log", xlabel="frame, dotted lines between rounds", ylabel="ms (total)")
        _format_log_ticks(axes.yaxis)
        axes.legend(frameon=False)
        return svg_text(figure)


def plot_cameras(result: Result) -> str:
    """Plot the fraction of a camera's frames with a result within a time; empty without cameras."""
    rates = list(result.rounds[0].camera)
    if not any(one.camera[fps].latency_ms for one in result.rounds for fps in rates):
        return ""
    with styled_figure(_WIDTH_IN, 2.4) as figure:
        axes = figure.subplots()
        for fps in rates:
            cameras = [one.camera[fps] for one in result.rounds]
            latency_ms = np.sort(np.concatenate([camera.latency_ms for camera in cameras]))
            delivered = sum(camera.delivered for camera in cameras)
            dropped = sum(camera.dropped for camera in cameras)
            percent = 100 * np.arange(1, len(latency_ms) + 1) / delivered
            label = f"{fps} fps, {dropped} of {delivered} dropped"
            axes.step(latency_ms, percent, where="post", label=label)
        axes.set(xscale="log", xlabel="ms from the camera's frame to its result")
        axes.set(ylabel="% of all frames", ylim=(0, 101))
        _format_log_ticks(axes.xaxis)
        axes.legend(frameon=False, loc="lower right")
        return svg_text(figure)


def plot_stages(record: Record, clock: str) -> str:
    """Plot a bar per configuration, stacked from the mean times of its stages."""
    results = [result for result in record.results if clock in result.rounds[0].stages.clocks]
    if not results:
        return ""
    with styled_figure(_WIDTH_IN, 1.2 + 0.42 * len(results)) as figure:
        axes = figure.subplots()
        left = np.zeros(len(results))
        for stage, color in zip(ALL_STAGES, _stage_colors(), strict=True):
            means = np.array(
                [np.mean(_all_samples(result, clock, stage) or [0.0]) for result in results]
            )
            if not means.any():
                continue
            axes.barh(range(len(results)), means, left=left, color=color, label=stage, height=0.62)
            left += means
        axes.set(yticks=range(len(results)), yticklabels=_labels(titles(results)))
        axes.tick_params(axis="y", left=False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"mean ms per frame, {_clock_name(clock)}")
        axes.invert_yaxis()
        figure.legend(frameon=False, loc="outside upper center", ncols=len(ALL_STAGES), fontsize=8)
        return svg_text(figure)


def plot_against(record: Record, field: str) -> str:
    """Plot total latency, as the median with the range of rounds, against a field.

    Args:
        record: Record with at least two values of the field; otherwise nothing is plotted.
        field: `num_faces` or `size`. Configurations that differ in it only share a line.

    Returns:
        SVG; empty if nothing is plotted.
    """
    x_of: Callable[[Result], float] = _tracked_faces if field == "num_faces" else _megapixels
    groups: dict[Configuration, list[Result]] = {}
    for result in record.results:
        configuration = result.configuration
        common = (
            replace(configuration, num_faces=None)
            if field == "num_faces"
            else replace(configuration, size=None)
        )
        groups.setdefault(common, []).append(result)
    lines = {
        common: sorted(results, key=x_of) for common, results in groups.items() if len(results) > 1
    }
    if not lines:
        return ""
    plotted = [result for results in lines.values() for result in results]
    has_cpu = all("cpu" in result.rounds[0].stages.clocks for result in plotted)
    clock = "cpu" if has_cpu else "wall"
    with styled_figure(_WIDTH_IN, 2.6) as figure:
        axes = figure.subplots()
        names = titles([results[0] for results in lines.values()])
        for results, label in zip(lines.values(), _labels(names), strict=True):
            rounds = [
                [float(np.median(one.stages.clocks[clock][TOTAL])) for one in result.rounds]
                for result in results
            ]
            median = np.array([np.median(values) for values in rounds])
            below = median - [min(values) for values in rounds]
            above = np.array([max(values) for values in rounds]) - median
            x = [x_of(result) for result in results]
            axes.errorbar(x, median, [below, above], marker="o", capsize=3, label=label)
        ticks = {x_of(result): result.workload.size for result in plotted}
        if field == "num_faces":
            axes.set(xlabel="tracked faces", xticks=sorted({round(x) for x in ticks}))
        else:
            names = [f"{width}x{height}" for width, height in ticks.values()]
            axes.set(xlabel="frame size", xticks=list(ticks), xticklabels=names)
        axes.set(ylabel=f"median ms, {_clock_name(clock)}", ylim=(0, None))
        if len(lines) > 1:
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return svg_text(figure)


def _labels(names: list[str]) -> list[str]:
    """Return names that leave room for the plot: none for a single one, the end of a long one."""
    if len(names) < 2:
        names = [""]
    return [
        name if len(name) <= _MAX_LABEL_LETTERS else "..." + name[3 - _MAX_LABEL_LETTERS :]
        for name in names
    ]


def _all_samples(result: Result, clock: str, stage: str) -> list[float]:
    return [ms for one in result.rounds for ms in one.stages.clocks[clock].get(stage, [])]


def _clock_name(clock: str) -> str:
    return CLOCK_NAMES.get(clock, clock)


def _tracked_faces(result: Result) -> float:
    return float(np.mean([one.stages.mean_faces for one in result.rounds]))


def _megapixels(result: Result) -> float:
    return result.workload.size[0] * result.workload.size[1] / 1e6


def _stage_colors() -> list[Any]:
    """Return a color per stage; grays for decode and write, which the total excludes."""
    from matplotlib import colormaps

    colors = iter(colormaps["tab10"](range(len(ALL_STAGES))))
    grays = {DECODE: "#8c8c8c", WRITE: "#c4c4c4"}
    return [grays[stage] if stage in grays else next(colors) for stage in ALL_STAGES]


def _format_log_ticks(axis: Any) -> None:
    """Label 1, 2, 5, 10 instead of powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
