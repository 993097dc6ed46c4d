"""The report's drawings, as SVG to stand in a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.drawing.svg_figure import STYLE, matplotlib_part, svg_text
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import AU_PLACES, EXPRESSION_PLACES, PLACE, ReportError
from faceaffect.report.timeline import Timeline
from faceaffect.report.track_stats import SourceTally, TrackTally

EXPRESSION_COLORS: Final = (
    "#cfcfcf",
    "#c8413f",
    "#6f9654",
    "#7a5c9e",
    "#f0b429",
    "#3b7dad",
    "#e58bb1",
)
_ON: Final = "#b5451b"
_LINES: Final = ("#1f6fb2", "#d1662c", "#4f8f4f")
_WIDTH_IN: Final = 9.4
_LEFT_IN: Final = 1.75
_RIGHT_IN: Final = 1.25
_GAP_STEPS: Final = 3.0
MOST_BARS: Final = 40
_IMAGE_ROWS: Final = 90  # of the stacked expressions
_PANELS_IN: Final = {"mood": 1.25, "expression": 1.0, "au": 2.35, "view": 1.15}


def require_matplotlib() -> None:
    """Raise ReportError where plots cannot be drawn."""
    try:
        matplotlib_part("figure")
    except ImportError as error:
        raise ReportError(
            f'the report draws with matplotlib, which cannot be used ({error}): pip install "faceaffect[report]"'
        ) from None


def plot_track(track: TrackTally, line: Timeline) -> str:
    """Valence and arousal, expressions, AUs and view over time; what the model does not read has no
    panel.
    """
    known = {
        "mood": np.isfinite(track.mean("valence")),
        "expression": bool(track.expressions.sum()),
        "au": np.isfinite(track.mean(AU_NAMES[0])),
        "view": True,
    }
    draw = {"mood": _draw_mood, "expression": _draw_expression, "au": _draw_aus, "view": _draw_view}
    names = [name for name, is_known in known.items() if is_known]
    with _panels([_PANELS_IN[name] for name in names]) as (figure, panels):
        first_s, last_s = track.first_s, max(track.last_s, track.first_s + 1e-3)
        for name, axes in zip(names, panels, strict=True):
            draw[name](axes, line, (first_s, last_s))
            axes.set_xlim(first_s, last_s)
            axes.tick_params(labelbottom=name == names[-1])
        _time_axis(panels[-1], last_s)
        return svg_text(figure)


def plot_presence(source: SourceTally) -> str:
    """Who was seen when; the tracks with the most rows where there are many."""
    tracks = sorted(source.tracks.values(), key=lambda track: -track.rows)[:MOST_BARS]
    tracks.sort(key=lambda track: track.first_s)
    with _panels([0.25 + 0.17 * len(tracks)]) as (figure, (axes,)):
        for row, track in enumerate(tracks):
            axes.barh(row, max(track.seen_s, 1e-3), left=track.first_s, height=0.7, color=_LINES[0])
        axes.set(
            yticks=range(len(tracks)), yticklabels=[f"face {track.key[2]}" for track in tracks]
        )
        axes.set_ylim(len(tracks) - 0.4, -0.6)
        axes.set_xlim(min(source.first_s, 0.0), max(source.last_s, source.first_s + 1e-3))
        axes.grid(axis="y", visible=False)
        _time_axis(axes, source.last_s)
        return svg_text(figure)


def plot_images(source: SourceTally) -> str:
    """What the faces of images that have nothing to do with each other show, all together."""
    faces = list(source.tracks.values())
    on, shown = (
        np.sum([getattr(face, name) for face in faces], axis=0)
        for name in ("au_active", "expressions")
    )
    mood = np.array([(face.mean("valence"), face.mean("arousal")) for face in faces])
    mood = mood[np.isfinite(mood).all(axis=1)]
    with matplotlib_part().rc_context(STYLE):
        figure = matplotlib_part("figure").Figure(figsize=(_WIDTH_IN, 2.9), layout="constrained")
        bars, best, plane = figure.subplots(1, 3, width_ratios=(1.25, 1.0, 1.0))
        _bars(
            bars,
            list(AU_NAMES),
            100 * on / len(faces),
            [_ON] * len(AU_NAMES),
            "% of faces with it on",
        )
        _bars(
            best,
            list(EXPRESSION_NAMES),
            100 * shown / len(faces),
            list(EXPRESSION_COLORS),
            "% of faces",
        )
        if len(mood):
            counts, x, y = np.histogram2d(mood[:, 0], mood[:, 1], bins=32, range=((-1, 1), (-1, 1)))
            plane.pcolormesh(
                x, y, np.ma.masked_equal(counts.T, 0), cmap="viridis_r", rasterized=True
            )
        plane.set(
            xlim=(-1, 1),
            ylim=(-1, 1),
            aspect="equal",
            xlabel="valence",
            ylabel="arousal",
            title="faces",
        )
        return svg_text(figure)


def _bars(
    axes: Any, names: Sequence[str], values: NDArray[np.float64], colors: Sequence[str], label: str
) -> None:
    axes.barh(range(len(names)), values, color=colors, height=0.72)
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel=label)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()


@contextmanager
def _panels(heights_in: Sequence[float]) -> Iterator[tuple[Any, list[Any]]]:
    """Panels above each other over one time axis, with room for names on both sides; margins in
    inches.
    """
    top_in, bottom_in, between_in = 0.08, 0.42, 0.14
    height = sum(heights_in) + between_in * (len(heights_in) - 1) + top_in + bottom_in
    with matplotlib_part().rc_context(STYLE):
        figure = matplotlib_part("figure").Figure(figsize=(_WIDTH_IN, height))
        panels, top = [], height - top_in
        for one in heights_in:
            place = (
                _LEFT_IN / _WIDTH_IN,
                (top - one) / height,
                1 - (_LEFT_IN + _RIGHT_IN) / _WIDTH_IN,
                one / height,
            )
            panels.append(figure.add_axes(place))
            top -= one + between_in
        yield figure, panels


def _draw_mood(axes: Any, line: Timeline, _span_s: tuple[float, float]) -> None:
    for name, color in zip(("valence", "arousal"), _LINES, strict=False):
        _draw_line(axes, line, name, color)
    axes.axhline(0, color="#999999", linewidth=0.7)
    axes.set(ylim=(-1, 1), yticks=(-1, -0.5, 0, 0.5, 1))
    _legend(axes)


def _draw_view(axes: Any, line: Timeline, _span_s: tuple[float, float]) -> None:
    """Quality as an area over [0, 1], the head's angles over degrees."""
    times, (quality,) = _with_gaps(line, line.mean[:, [PLACE["quality"]]])
    axes.fill_between(times, quality, color="#dddddd", linewidth=0, label="quality")
    axes.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel="quality")
    axes.grid(visible=False)
    angles = axes.twinx()
    for name, color in zip(("yaw", "pitch", "roll"), _LINES, strict=True):
        _draw_line(angles, line, f"{name}_deg", color, name)
    angles.set(ylim=(-90, 90), yticks=(-90, -45, 0, 45, 90))
    angles.yaxis.set_major_formatter(matplotlib_part("ticker").StrMethodFormatter("{x:g}°"))
    angles.spines["top"].set_visible(False)
    angles.grid(axis="y")
    _legend(angles, 0.09)


def _draw_expression(axes: Any, line: Timeline, span_s: tuple[float, float]) -> None:
    """Probabilities on top of each other, as an image: paths would take ten times the space."""
    place = _columns(line, span_s)
    shares = np.nan_to_num(line.mean[place, EXPRESSION_PLACES])
    ends = np.cumsum(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9), axis=1)
    levels = (np.arange(_IMAGE_ROWS) + 0.5) / _IMAGE_ROWS
    found = np.minimum(
        (ends[:, None, :] < levels[None, :, None]).sum(axis=2), len(EXPRESSION_NAMES) - 1
    )
    colors = np.array([_rgb(color) for color in EXPRESSION_COLORS], np.uint8)
    image = colors[found]  # [columns, levels, 3]
    image[place < 0] = 255
    _show(axes, image.transpose(1, 0, 2), span_s, (0, 1), "lower")
    axes.set(yticks=(0, 0.5, 1), yticklabels=("0", "50 %", "100 %"))
    patch = matplotlib_part("patches").Patch
    _legend(
        axes,
        handles=[
            patch(color=c, label=n)
            for n, c in zip(EXPRESSION_NAMES, EXPRESSION_COLORS, strict=True)
        ][::-1],
    )


def _draw_aus(axes: Any, line: Timeline, span_s: tuple[float, float]) -> None:
    """A band per AU: probability as darkness, and below it a stripe where it is decided to be on."""
    place = _columns(line, span_s)
    probability, on = (
        np.nan_to_num(line.mean[place, AU_PLACES]),
        np.nan_to_num(line.au_active[place]),
    )
    shades = matplotlib_part().colormaps["Blues"]
    bands = []
    for au in range(len(AU_NAMES)):
        shade = np.asarray(shades(0.02 + 0.9 * probability[:, au])[:, :3] * 255, np.uint8)
        stripe = np.where(
            on[:, au, None] > 0, 255 - np.sqrt(on[:, au, None]) * (255 - np.array(_rgb(_ON))), 255
        )
        bands += [shade] * 5 + [np.asarray(stripe, np.uint8)] * 2 + [np.full_like(shade, 255)]
    image = np.stack(bands)  # [rows, columns, 3]
    image[:, place < 0] = 255
    _show(axes, image, span_s, (len(AU_NAMES), 0), "upper")
    names = [f"{AU_MEANINGS[name]}  {name}" for name in AU_NAMES]
    axes.set(yticks=np.arange(len(AU_NAMES)) + 0.4, yticklabels=names)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.grid(visible=False)
    patch = matplotlib_part("patches").Patch
    handles = [patch(color=shades(0.02 + 0.9 * p), label=f"probability {p:g}") for p in (1, 0.5, 0)]
    _legend(axes, handles=[*handles, patch(color=_ON, label="decided: on")])


def _draw_line(axes: Any, line: Timeline, name: str, color: str, label: str = "") -> None:
    """The mean; where a step holds many rows with their range around it."""
    place = PLACE[name]
    times, (mean, least, most) = _with_gaps(
        line, np.stack([a[:, place] for a in (line.mean, line.least, line.most)], axis=1)
    )
    if line.is_binned:
        axes.fill_between(times, least, most, color=color, alpha=0.22, linewidth=0)
    is_one = len(times) == 1
    axes.plot(
        times,
        mean,
        color=color,
        linewidth=1.1,
        label=label or name,
        marker="o" if is_one else None,
        markersize=3,
    )


def _with_gaps(
    line: Timeline, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times [S'] and values [V, S'] of the steps with rows, and NaN between two where the face was
    away.
    """
    kept = np.flatnonzero(line.count)
    times, values = line.time_s[kept], values[kept]
    gaps = np.flatnonzero(np.diff(times) > _GAP_STEPS * line.step_s) + 1
    middles = (times[gaps] + times[gaps - 1]) / 2
    return np.insert(times, gaps, middles), np.insert(values, gaps, np.nan, axis=0).T


def _columns(line: Timeline, span_s: tuple[float, float], columns: int = 400) -> NDArray[np.int64]:
    """The step that each column of an image over `span_s` shows, -1 where nobody saw the face."""
    kept = np.flatnonzero(line.count)
    middles = span_s[0] + (np.arange(columns) + 0.5) / columns * (span_s[1] - span_s[0])
    right = np.clip(np.searchsorted(line.time_s[kept], middles), 1, max(len(kept) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(kept) - 1)
    is_left = np.abs(line.time_s[kept[left]] - middles) <= np.abs(
        line.time_s[kept[right]] - middles
    )
    nearest = kept[np.where(is_left, left, right)]
    is_away = np.abs(line.time_s[nearest] - middles) > _GAP_STEPS / 2 * max(line.step_s, 1e-9)
    return np.where(is_away & (len(kept) > 1), -1, nearest)


def _show(
    axes: Any,
    image: NDArray[np.uint8],
    span_s: tuple[float, float],
    ends: tuple[float, float],
    origin: str,
) -> None:
    axes.imshow(image, extent=(*span_s, *ends), aspect="auto", interpolation="none", origin=origin)
    axes.grid(visible=False)


def _legend(axes: Any, beside: float = 0.0, handles: list[Any] | None = None) -> None:
    given = {} if handles is None else {"handles": handles}
    place = (1.01 + beside, 0.5)
    axes.legend(
        **given,
        frameon=False,
        loc="center left",
        bbox_to_anchor=place,
        fontsize=8,
        handlelength=1,
        labelspacing=0.25,
    )


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _time_axis(axes: Any, last_s: float) -> None:
    ticker = matplotlib_part("ticker")
    steps = (1, 2, 5, 10) if last_s < 60 else (1, 1.5, 3, 6, 10)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(9, steps=steps))
    axes.xaxis.set_major_formatter(
        ticker.FuncFormatter(lambda seconds, _: clock_time(seconds, last_s))
    )
    axes.set_xlabel(
        "seconds"
        if last_s < 60
        else "minutes:seconds"
        if last_s < 3600
        else "hours:minutes:seconds"
    )


def clock_time(seconds: float, longest_s: float) -> str:
    """12.5, 3:07 or 1:02:33, as the longest time beside it needs."""
    if longest_s < 60:
        return f"{round(seconds, 2):g}"
    whole = round(seconds)
    if longest_s < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
