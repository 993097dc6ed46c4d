"""The plots of the evaluation page, each an SVG text without any outside reference."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Given = ParamSpec("_Given")

_BLUE: Final = "#1f5fa8"
_GRAY: Final = "#999999"
_STYLE: Final[Any] = {
    "svg.fonttype": "none",  # letters stay letters: small, and they can be searched
    "svg.hashsalt": "faceaffect",  # the same figures give the same file
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "figure.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _styled(plot: Callable[_Given, str]) -> Callable[_Given, str]:
    """Draws in the style of the page, whatever the settings around are; matplotlib is imported only
    then.
    """

    @wraps(plot)
    def draw(*given: _Given.args, **named: _Given.kwargs) -> str:
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return plot(*given, **named)

    return draw


@_styled
def precision_recall_plot(by_au: dict[str, Any]) -> str:
    """A panel per AU: the curve, and the precision of calling every frame as a dashed line."""

    def draw(axes: Axes, name: str) -> None:
        au = by_au[name]
        curve = au["precision_recall"]
        title = (
            name if au["average_precision"] is None else f"{name}  AP {au['average_precision']:.2f}"
        )
        if curve["recall"]:
            precision = [curve["precision"][0], *curve["precision"]]
            axes.step([0, *curve["recall"]], precision, where="pre", color=_BLUE, linewidth=1.3)
        if au["share_on"] is not None:
            axes.axhline(au["share_on"], color=_GRAY, linestyle="--", linewidth=0.8)
        axes.set_title(title)

    return _panels(list(by_au), draw, "recall", "precision")


@_styled
def reliability_plot(curves: dict[str, Any]) -> str:
    """A panel per curve: how often it came true against the mean probability of each bin; larger
    dots hold more frames.
    """

    def draw(axes: Axes, name: str) -> None:
        curve = curves[name]["reliability"]
        kept = [k for k, count in enumerate(curve["count"]) if count]
        p, frequency = ([curve[part][k] for k in kept] for part in ("probability", "frequency"))
        count = np.array([curve["count"][k] for k in kept], np.float64)
        axes.plot([0, 1], [0, 1], color=_GRAY, linestyle="--", linewidth=0.8)
        axes.plot(p, frequency, color=_BLUE, linewidth=1.0)
        if kept:
            axes.scatter(
                p,
                frequency,
                s=4 + 60 * np.sqrt(count / count.sum()),
                color=_BLUE,
                alpha=0.6,
                linewidths=0,
            )
        error = curves[name]["calibration_error"]
        axes.set_title(name if error is None else f"{name}  ECE {error:.3f}")

    return _panels(list(curves), draw, "probability", "share true")


@_styled
def f1_plot(by_au: dict[str, Any]) -> str:
    """F1 of each AU with its interval, its best threshold's F1 (circle) and that of calling every
    frame (bar).
    """
    names = list(by_au)
    figure, axes = _figure(7.2, 2.6)
    place = np.arange(len(names))
    always, best = (
        [_number(by_au[name][key]) for name in names]
        for key in ("f1_always_on", "f1_at_best_threshold")
    )
    value, low, high = (
        [_number(by_au[name]["f1"][key]) for name in names] for key in ("value", "low", "high")
    )
    axes.bar(place, always, color="#dddddd", width=0.7, label="every frame called")
    axes.vlines(place, low, high, color=_BLUE, linewidth=1.5)
    axes.scatter(place, value, color=_BLUE, s=22, zorder=3, label="F1 and its 95 % interval")
    axes.scatter(
        place,
        best,
        facecolors="none",
        edgecolors="#c05020",
        s=36,
        zorder=3,
        label="at the threshold best here",
    )
    axes.set_xticks(place, names)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("F1")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3, frameon=False)
    return _svg(figure)


@_styled
def confusion_plot(matrix: list[list[int]], names: list[str]) -> str:
    """Shares of each true class, with the counts written in."""
    counts = np.array(matrix, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure(4.6, 4.0)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for row in range(len(names)):
        for column in range(len(names)):
            color = "white" if shares[row, column] > 0.55 else "black"
            text = f"{shares[row, column]:.2f}\n{int(counts[row, column])}"
            axes.text(
                column + 0.5, row + 0.5, text, ha="center", va="center", color=color, fontsize=6.5
            )
    middle = np.arange(len(names)) + 0.5
    axes.set_xticks(middle, names, rotation=35, ha="right")
    axes.set_yticks(middle, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labeled")
    axes.invert_yaxis()
    return _svg(figure)


@_styled
def density_plot(section: dict[str, Any], names: tuple[str, ...]) -> str:
    """Predicted against labeled values: how many frames fall where, dark for many (logarithmic)."""
    figure, axes = _figure(3.2 * len(names), 3.1, 1, len(names))
    for panel, name in zip(np.ravel(axes), names, strict=True):
        counts = np.array(section[name]["density"], np.float64)
        edges = np.linspace(-1, 1, len(counts) + 1)
        exponent = np.ma.masked_less(np.log10(np.maximum(counts.T, 1e-9)), 0)
        panel.pcolormesh(
            edges, edges, exponent, cmap="viridis_r", vmin=0, rasterized=True
        )  # 1,600 paths would be slow
        panel.plot([-1, 1], [-1, 1], color=_GRAY, linestyle="--", linewidth=0.8)
        panel.set_aspect("equal")
        panel.set_title(f"{name}  CCC {_number(section[name]['ccc']['value']):.3f}")
        panel.set_xlabel("labeled")
        panel.set_ylabel("predicted")
    return _svg(figure)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _figure(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    layout: Literal["constrained"] | None = "constrained",
) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots(rows, columns)


def _panels(names: list[str], draw: Any, x_label: str, y_label: str) -> str:
    """Square panels in rows of four, all over [0, 1]; a single one is larger."""
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    side = 1.8 if len(names) > 1 else 3.0
    width, height = side * columns, side * rows
    figure, grid = _figure(width, height, rows, columns, layout=None)
    # The panels are alike: margins in inches do what the search for a layout does, in a fraction of
    # its time.
    gap = 0.45 / (side - 0.45)
    figure.subplots_adjust(
        0.55 / width, 0.5 / height, 1 - 0.08 / width, 1 - 0.25 / height, gap, gap
    )
    panels = np.ravel(grid)
    for axes, name in zip(panels, names, strict=False):
        draw(axes, name)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.set_aspect("equal")
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel(x_label)
    figure.supylabel(y_label)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    # The page needs neither the prolog nor the metadata, which name addresses outside.
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
