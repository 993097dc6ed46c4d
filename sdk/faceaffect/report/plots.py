"""Plots of the report, as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.drawing.svg_figure import styled_figure, svg_text
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import AU_COLUMNS, COLUMN_INDEX, EXPRESSION_COLUMNS
from faceaffect.report.timeline import Timeline
from faceaffect.report.track_stats import SourceStats, TrackStats

_ACTIVE_COLOR: Final = "#b5451b"
_LINE_COLORS: Final = ("#1f6fb2", "#d1662c", "#4f8f4f")
_WIDTH_IN: Final = 9.4
_LEFT_IN: Final = 1.75
_RIGHT_IN: Final = 1.25
_GAP_BINS: Final = 3.0  # bins without rows that interrupt a line
MAX_TRACK_BARS: Final = 40
_EXPRESSION_IMAGE_ROWS: Final = 90
_PANEL_HEIGHTS_IN: Final = {
    "valence_arousal": 1.25,
    "expression": 1.0,
    "au": 2.35,
    "pose": 1.15,
}


def plot_track(track: TrackStats, timeline: Timeline) -> str:
    """Plot valence and arousal, expressions, AUs, and quality with head pose over time.

    Outputs that the model does not have get no panel.
    """
    panels = {
        "valence_arousal": (_plot_valence_arousal, np.isfinite(track.mean("valence"))),
        "expression": (_plot_expressions, bool(track.expression_counts.sum())),
        "au": (_plot_aus, np.isfinite(track.mean(AU_NAMES[0]))),
        "pose": (_plot_pose, True),
    }
    names = [name for name, (_, is_known) in panels.items() if is_known]
    with _stacked_panels([_PANEL_HEIGHTS_IN[name] for name in names]) as (figure, all_axes):
        span_s = (track.first_s, max(track.last_s, track.first_s + 1e-3))
        for name, axes in zip(names, all_axes, strict=True):
            panels[name][0](axes, timeline, span_s)
            axes.set_xlim(*span_s)
            axes.tick_params(labelbottom=name == names[-1])
        _format_time_axis(all_axes[-1], span_s[1])
        return svg_text(figure)


def plot_presence(source: SourceStats) -> str:
    """Plot a bar from the first to the last row of each track, at most `MAX_TRACK_BARS`."""
    tracks = sorted(source.tracks.values(), key=lambda track: -track.rows)[:MAX_TRACK_BARS]
    tracks.sort(key=lambda track: track.first_s)
    with _stacked_panels([0.25 + 0.17 * len(tracks)]) as (figure, (axes,)):
        for row, track in enumerate(tracks):
            width = max(track.duration_s, 1e-3)
            axes.barh(row, width, left=track.first_s, height=0.7, color=_LINE_COLORS[0])
        names = [f"face {track.key[2]}" for track in tracks]
        axes.set(yticks=range(len(tracks)), yticklabels=names)
        axes.set_ylim(len(tracks) - 0.4, -0.6)
        axes.set_xlim(min(source.first_s, 0.0), max(source.last_s, source.first_s + 1e-3))
        axes.grid(axis="y", visible=False)
        _format_time_axis(axes, source.last_s)
        return svg_text(figure)


def plot_images(source: SourceStats) -> str:
    """Plot AUs, expressions, and valence and arousal over all faces of unrelated images."""
    faces = list(source.tracks.values())
    au_counts = np.sum([face.au_counts for face in faces], axis=0)
    expression_counts = np.sum([face.expression_counts for face in faces], axis=0)
    means = np.array([(face.mean("valence"), face.mean("arousal")) for face in faces])
    means = means[np.isfinite(means).all(axis=1)]
    with styled_figure(_WIDTH_IN, 2.9) as figure:
        au_axes, expression_axes, plane = figure.subplots(1, 3, width_ratios=(1.25, 1.0, 1.0))
        _plot_bars(
            au_axes,
            AU_NAMES,
            100 * au_counts / len(faces),
            [_ACTIVE_COLOR] * len(AU_NAMES),
            "% of faces with the AU active",
        )
        _plot_bars(
            expression_axes,
            EXPRESSION_NAMES,
            100 * expression_counts / len(faces),
            EXPRESSION_COLORS,
            "% of faces",
        )
        if len(means):
            counts, x, y = np.histogram2d(
                means[:, 0], means[:, 1], bins=32, range=((-1, 1), (-1, 1))
            )
            visible = np.ma.masked_equal(counts.T, 0)
            plane.pcolormesh(x, y, visible, cmap="viridis_r", rasterized=True)
        plane.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", title="faces")
        plane.set(xlabel="valence", ylabel="arousal")
        return svg_text(figure)


def _plot_bars(
    axes: Any, names: Sequence[str], values: NDArray[np.float64], colors: Sequence[str], label: str
) -> None:
    axes.barh(range(len(names)), values, color=colors, height=0.72)
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel=label)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()


@contextmanager
def _stacked_panels(heights_in: Sequence[float]) -> Iterator[tuple[Any, list[Any]]]:
    """Make axes above each other that share a time axis, with fixed margins for labels."""
    top_in = 0.08
    bottom_in = 0.42
    gap_in = 0.14
    height_in = sum(heights_in) + gap_in * (len(heights_in) - 1) + top_in + bottom_in
    left = _LEFT_IN / _WIDTH_IN
    width = 1 - (_LEFT_IN + _RIGHT_IN) / _WIDTH_IN
    with styled_figure(_WIDTH_IN, height_in, layout=None) as figure:
        panels = []
        y_in = height_in - top_in
        for panel_in in heights_in:
            y_in -= panel_in
            panels.append(figure.add_axes((left, y_in / height_in, width, panel_in / height_in)))
            y_in -= gap_in
        yield figure, panels


def _plot_valence_arousal(axes: Any, timeline: Timeline, _span_s: tuple[float, float]) -> None:
    for name, color in zip(("valence", "arousal"), _LINE_COLORS, strict=False):
        _plot_line(axes, timeline, name, color)
    axes.axhline(0, color="#999999", linewidth=0.7)
    axes.set(ylim=(-1, 1), yticks=(-1, -0.5, 0, 0.5, 1))
    _legend(axes)


def _plot_pose(axes: Any, timeline: Timeline, _span_s: tuple[float, float]) -> None:
    """Plot quality as an area over [0, 1], and the head's angles as lines over degrees."""
    from matplotlib.ticker import StrMethodFormatter

    times_s, (quality,) = _with_gaps(timeline, timeline.mean[:, [COLUMN_INDEX["quality"]]])
    axes.fill_between(times_s, quality, color="#dddddd", linewidth=0, label="quality")
    axes.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel="quality")
    axes.grid(visible=False)
    angles = axes.twinx()
    for name, color in zip(("yaw", "pitch", "roll"), _LINE_COLORS, strict=True):
        _plot_line(angles, timeline, f"{name}_deg", color, name)
    angles.set(ylim=(-90, 90), yticks=(-90, -45, 0, 45, 90))
    angles.yaxis.set_major_formatter(StrMethodFormatter("{x:g}°"))
    angles.spines["top"].set_visible(False)
    angles.grid(axis="y")
    _legend(angles, 0.09)


def _plot_expressions(axes: Any, timeline: Timeline, span_s: tuple[float, float]) -> None:
    """Plot stacked probabilities, as an image: paths would take ten times the space."""
    from matplotlib.patches import Patch

    bins = _column_bins(timeline, span_s)
    probability = np.nan_to_num(timeline.mean[bins, EXPRESSION_COLUMNS])
    total = np.maximum(probability.sum(axis=1, keepdims=True), 1e-9)
    upper_edges = np.cumsum(probability / total, axis=1)
    levels = (np.arange(_EXPRESSION_IMAGE_ROWS) + 0.5) / _EXPRESSION_IMAGE_ROWS
    expression = (upper_edges[:, None, :] < levels[None, :, None]).sum(axis=2)
    expression = np.minimum(expression, len(EXPRESSION_NAMES) - 1)
    colors = np.array([_rgb(color) for color in EXPRESSION_COLORS], np.uint8)
    image = colors[expression]  # [columns, levels, 3]
    image[bins < 0] = 255
    _show_image(axes, image.transpose(1, 0, 2), span_s, (0, 1), "lower")
    axes.set(yticks=(0, 0.5, 1), yticklabels=("0", "50 %", "100 %"))
    handles = [
        Patch(color=color, label=name)
        for name, color in zip(EXPRESSION_NAMES, EXPRESSION_COLORS, strict=True)
    ]
    _legend(axes, handles=handles[::-1])


def _plot_aus(axes: Any, timeline: Timeline, span_s: tuple[float, float]) -> None:
    """Plot a band per AU: probability as darkness, with a stripe below where the AU is active."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    bins = _column_bins(timeline, span_s)
    probability = np.nan_to_num(timeline.mean[bins, AU_COLUMNS])
    active = np.nan_to_num(timeline.au_active[bins])
    blues = colormaps["Blues"]
    bands: list[NDArray[np.uint8]] = []
    for au in range(len(AU_NAMES)):
        shade = np.asarray(blues(0.02 + 0.9 * probability[:, au])[:, :3] * 255, np.uint8)
        alpha = np.sqrt(active[:, au, None])
        stripe = np.where(alpha > 0, 255 - alpha * (255 - np.array(_rgb(_ACTIVE_COLOR))), 255)
        bands += [shade] * 5 + [np.asarray(stripe, np.uint8)] * 2 + [np.full_like(shade, 255)]
    image = np.stack(bands)  # [rows, columns, 3]
    image[:, bins < 0] = 255
    _show_image(axes, image, span_s, (len(AU_NAMES), 0), "upper")
    names = [f"{AU_MEANINGS[name]}  {name}" for name in AU_NAMES]
    axes.set(yticks=np.arange(len(AU_NAMES)) + 0.4, yticklabels=names)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.grid(visible=False)
    handles = [Patch(color=blues(0.02 + 0.9 * p), label=f"probability {p:g}") for p in (1, 0.5, 0)]
    _legend(axes, handles=[*handles, Patch(color=_ACTIVE_COLOR, label="active")])


def _plot_line(axes: Any, timeline: Timeline, name: str, color: str, label: str = "") -> None:
    """Plot the mean, and the range around it where a bin holds many rows."""
    column = COLUMN_INDEX[name]
    series = (timeline.mean, timeline.minimum, timeline.maximum)
    times_s, (mean, minimum, maximum) = _with_gaps(
        timeline, np.stack([values[:, column] for values in series], axis=1)
    )
    if timeline.is_binned:
        axes.fill_between(times_s, minimum, maximum, color=color, alpha=0.22, linewidth=0)
    marker = "o" if len(times_s) == 1 else None
    axes.plot(
        times_s, mean, color=color, linewidth=1.1, label=label or name, marker=marker, markersize=3
    )


def _with_gaps(
    timeline: Timeline, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times [S'] and values [V, S'] of the bins with rows, with NaN in gaps."""
    kept = np.flatnonzero(timeline.count)
    times_s = timeline.time_s[kept]
    values = values[kept]
    gaps = np.flatnonzero(np.diff(times_s) > _GAP_BINS * timeline.bin_s) + 1
    middles_s = (times_s[gaps] + times_s[gaps - 1]) / 2
    return np.insert(times_s, gaps, middles_s), np.insert(values, gaps, np.nan, axis=0).T


def _column_bins(
    timeline: Timeline, span_s: tuple[float, float], columns: int = 400
) -> NDArray[np.int64]:
    """Return the nearest bin of each column of an image over `span_s`; -1 in gaps."""
    kept = np.flatnonzero(timeline.count)
    times_s = timeline.time_s[kept]
    middles_s = span_s[0] + (np.arange(columns) + 0.5) / columns * (span_s[1] - span_s[0])
    right = np.clip(np.searchsorted(times_s, middles_s), 1, max(len(kept) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(kept) - 1)
    is_left = np.abs(times_s[left] - middles_s) <= np.abs(times_s[right] - middles_s)
    nearest = kept[np.where(is_left, left, right)]
    max_distance_s = _GAP_BINS / 2 * max(timeline.bin_s, 1e-9)
    is_gone = np.abs(timeline.time_s[nearest] - middles_s) > max_distance_s
    return np.where(is_gone & (len(kept) > 1), -1, nearest)


def _show_image(
    axes: Any,
    image: NDArray[np.uint8],
    span_s: tuple[float, float],
    y_range: tuple[float, float],
    origin: str,
) -> None:
    extent = (*span_s, *y_range)
    axes.imshow(image, extent=extent, aspect="auto", interpolation="none", origin=origin)
    axes.grid(visible=False)


def _legend(axes: Any, offset: float = 0.0, handles: list[Any] | None = None) -> None:
    axes.legend(
        **({} if handles is None else {"handles": handles}),
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1.01 + offset, 0.5),
        fontsize=8,
        handlelength=1,
        labelspacing=0.25,
    )


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _format_time_axis(axes: Any, last_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    steps = (1, 2, 5, 10) if last_s < 60 else (1, 1.5, 3, 6, 10)
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: clock_time(time_s, last_s)))
    hours = "hours:minutes:seconds" if last_s >= 3600 else "minutes:seconds"
    axes.set_xlabel("seconds" if last_s < 60 else hours)


def clock_time(time_s: float, last_s: float) -> str:
    """Format a time as 12.5, 3:07 or 1:02:33, in the form that `last_s` needs."""
    if last_s < 60:
        return f"{round(time_s, 2):g}"
    seconds = round(time_s)
    if last_s < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
