"""Plots of the evaluation page, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import numpy as np

from faceaffect.drawing.svg_figure import styled_figure, svg_text

_BLUE: Final = "#1f5fa8"
_GRAY: Final = "#999999"
_STYLE: Final[dict[str, Any]] = {
    "font_size": 8.0,
    "axes_titlesize": 8.0,
    "figure_labelsize": 8.0,
    "axes_grid": False,
}


def precision_recall_plot(by_au: dict[str, Any]) -> str:
    """Plot the curve of each AU; a dashed line is the precision of calling every frame."""

    def draw(axes: Any, name: str) -> None:
        au = by_au[name]
        curve = au["precision_recall"]
        average_precision = au["average_precision"]
        if curve["recall"]:
            precision = [curve["precision"][0], *curve["precision"]]
            axes.step([0, *curve["recall"]], precision, where="pre", color=_BLUE, linewidth=1.3)
        if au["active_fraction"] is not None:
            axes.axhline(au["active_fraction"], color=_GRAY, linestyle="--", linewidth=0.8)
        axes.set_title(name if average_precision is None else f"{name}  AP {average_precision:.2f}")

    return _panels(list(by_au), draw, "recall", "precision")


def reliability_plot(curves: dict[str, Any]) -> str:
    """Plot observed frequency against mean probability per bin; larger dots hold more frames."""

    def draw(axes: Any, name: str) -> None:
        curve = curves[name]["reliability"]
        bins = [k for k, count in enumerate(curve["count"]) if count]
        probability = [curve["probability"][k] for k in bins]
        frequency = [curve["frequency"][k] for k in bins]
        count = np.array([curve["count"][k] for k in bins], np.float64)
        axes.plot([0, 1], [0, 1], color=_GRAY, linestyle="--", linewidth=0.8)
        axes.plot(probability, frequency, color=_BLUE, linewidth=1.0)
        if bins:
            size = 4 + 60 * np.sqrt(count / count.sum())
            axes.scatter(probability, frequency, s=size, color=_BLUE, alpha=0.6, linewidths=0)
        error = curves[name]["calibration_error"]
        axes.set_title(name if error is None else f"{name}  ECE {error:.3f}")

    return _panels(list(curves), draw, "probability", "observed frequency")


def f1_plot(by_au: dict[str, Any]) -> str:
    """Plot F1 with its interval, F1 at the best threshold (circle) and of calling all (bar)."""

    def f1_of(au: dict[str, Any], bound: str) -> float:
        return _number(au["f1"][bound])

    aus = by_au.values()
    x = np.arange(len(by_au))
    with _figure(7.2, 2.6) as figure:
        axes = figure.subplots()
        always_on = [_number(au["f1_if_always_active"]) for au in aus]
        axes.bar(x, always_on, color="#dddddd", width=0.7, label="always active")
        low = [f1_of(au, "low") for au in aus]
        high = [f1_of(au, "high") for au in aus]
        axes.vlines(x, low, high, color=_BLUE, linewidth=1.5)
        value = [f1_of(au, "value") for au in aus]
        axes.scatter(x, value, color=_BLUE, s=22, zorder=3, label="F1 and its 95 % interval")
        axes.scatter(
            x,
            [_number(au["f1_at_best_threshold"]) for au in aus],
            facecolors="none",
            edgecolors="#c05020",
            s=36,
            zorder=3,
            label="at the best threshold of these frames",
        )
        axes.set_xticks(x, list(by_au))
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("F1")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3, frameon=False)
        return svg_text(figure)


def confusion_plot(matrix: list[list[int]], names: list[str]) -> str:
    """Plot the confusion matrix, normalized by row, with counts."""
    counts = np.array(matrix, np.float64)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _figure(4.6, 4.0) as figure:
        axes = figure.subplots()
        axes.pcolormesh(fractions, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
        for (row, column), fraction in np.ndenumerate(fractions):
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{fraction:.2f}\n{int(counts[row, column])}",
                ha="center",
                va="center",
                color="white" if fraction > 0.55 else "black",
                fontsize=6.5,
            )
        middles = np.arange(len(names)) + 0.5
        axes.set_xticks(middles, names, rotation=35, ha="right")
        axes.set_yticks(middles, names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("labeled")
        axes.invert_yaxis()
        return svg_text(figure)


def density_plot(section: dict[str, Any], names: tuple[str, ...]) -> str:
    """Plot the joint histogram of labeled and predicted values, with logarithmic color."""
    with _figure(3.2 * len(names), 3.1) as figure:
        for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
            counts = np.array(section[name]["density"], np.float64)
            edges = np.linspace(-1, 1, len(counts) + 1)
            exponent = np.ma.masked_less(np.log10(np.maximum(counts.T, 1e-9)), 0)
            # Rasterized: 1,600 paths would be slow.
            axes.pcolormesh(edges, edges, exponent, cmap="viridis_r", vmin=0, rasterized=True)
            axes.plot([-1, 1], [-1, 1], color=_GRAY, linestyle="--", linewidth=0.8)
            axes.set_aspect("equal")
            axes.set_title(f"{name}  CCC {_number(section[name]['ccc']['value']):.3f}")
            axes.set_xlabel("labeled")
            axes.set_ylabel("predicted")
        return svg_text(figure)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _figure(
    width_in: float, height_in: float, layout: Any = "constrained"
) -> AbstractContextManager[Any]:
    return styled_figure(width_in, height_in, layout, **_STYLE)


def _panels(names: list[str], draw: Callable[[Any, str], None], x_label: str, y_label: str) -> str:
    """Plot square panels over [0, 1] in rows of four; a single one is larger."""
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    side_in = 1.8 if len(names) > 1 else 3.0
    width_in = side_in * columns
    height_in = side_in * rows
    with _figure(width_in, height_in, layout=None) as figure:
        # All panels are alike: fixed margins look the same as a constrained layout, which takes
        # several times as long.
        gap = 0.45 / (side_in - 0.45)
        figure.subplots_adjust(
            left=0.55 / width_in,
            bottom=0.5 / height_in,
            right=1 - 0.08 / width_in,
            top=1 - 0.25 / height_in,
            wspace=gap,
            hspace=gap,
        )
        panels = np.ravel(figure.subplots(rows, columns))
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
        return svg_text(figure)
