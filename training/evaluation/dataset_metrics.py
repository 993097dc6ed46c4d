"""Figures of predictions against labels, as plain values: what figures.json holds and the page
shows.

Decisions (F1, accuracy, CCC) are judged on every labeled frame, frames without a prediction by
the rule for them. Rankings and calibration (AUROC, precision and recall, reliability) are judged
where the model spoke, since a stand-in has no probability; `where_predicted` repeats the scores
on those frames alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training import metrics
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import HOLD, MISSING_RULES, PredictionTable, hold

Figures = dict[str, Any]

CURVE_POINTS = 150
DENSITY_BINS = 40
VA_NAMES = ("valence", "arousal")


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """How frames without a prediction count, and how the confidence intervals are drawn."""

    missing: str = HOLD
    resamples: int = 1000
    seed: int = 0
    by_column: bool = (
        False  # frames with some AU unlabeled count for the others; not so in the challenge
    )


def dataset_metrics(
    labels: LabelTable, predictions: PredictionTable, options: FigureOptions
) -> Figures:
    """All figures; a task without labeled frames is None."""
    judged = hold(predictions, labels) if options.missing == HOLD else predictions
    tasks = {
        "action_units": _action_units,
        "expression": _expression,
        "valence_arousal": _valence_arousal,
    }
    figures: Figures = {
        "frames": _frames(labels, predictions, options),
        **{name: task(labels, predictions, judged, options) for name, task in tasks.items()},
        "videos": _videos(labels, predictions, judged),
    }
    return figures | {"notes": _notes(figures, len(labels.videos))}


def plain(value: Any) -> Any:
    """Arrays and NumPy numbers as what JSON knows; NaN becomes None."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _labeled(labels: LabelTable, options: FigureOptions) -> dict[str, NDArray[np.bool_]]:
    """Frames [N] that count, by task."""
    whole = metrics.labeled_au(labels.au)
    au = (labels.au != metrics.AU_UNLABELED).any(axis=1) if options.by_column else whole
    rows = (au, metrics.labeled_expression(labels.expression), metrics.labeled_va(labels.va))
    return dict(zip(TASKS, rows, strict=True))


def _frames(labels: LabelTable, predictions: PredictionTable, options: FigureOptions) -> Figures:
    labeled = _labeled(labels, options)
    return {
        "videos": len(labels.videos),
        "all": len(labels),
        "predicted": int(predictions.known.sum()),
        "labeled": {task: int(rows.sum()) for task, rows in labeled.items()},
        "labeled_but_not_predicted": {
            task: int((rows & ~predictions.known).sum()) for task, rows in labeled.items()
        },
        "videos_without_any_prediction": [
            name
            for k, name in enumerate(labels.videos)
            if not predictions.known[labels.rows_of(k)].any()
        ],
        "rule": {"name": options.missing, "text": MISSING_RULES[options.missing]},
    }


def _judge(
    sums_of: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    figures_of: Callable[[NDArray[np.float64]], metrics.Figures],
    counted: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    options: FigureOptions,
) -> Figures:
    """Each figure with its interval over the counted frames, and its value over the predicted ones
    among them.
    """
    sums = sums_of(counted)
    bounds = metrics.bootstrap(sums, figures_of, options.resamples, options.seed)
    values = figures_of(sums.sum(axis=0))
    there = figures_of(sums_of(counted & predicted).sum(axis=0))
    return {
        "frames": int(counted.sum()),
        "videos": int(sums.any(axis=1).sum()),
        **{
            name: {"value": values[name], "low": bounds[name][0], "high": bounds[name][1]}
            for name in values
        },
        "where_predicted": {name: value for name, value in there.items() if np.ndim(value) == 0},
    }


def _by_name(figure: Figures, names: tuple[str, ...]) -> Figures:
    """A figure of one value per name as one figure per name."""
    return {
        name: {part: values[k] for part, values in figure.items()} for k, name in enumerate(names)
    }


def _action_units(
    labels: LabelTable,
    predictions: PredictionTable,
    judged: PredictionTable,
    options: FigureOptions,
) -> Figures | None:
    counted = _labeled(labels, options)[TASKS[0]] & judged.known
    if not counted.any():
        return None

    def sums(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        video = labels.video[rows]
        return metrics.au_sums(
            judged.au_active[rows],
            labels.au[rows],
            video,
            len(labels.videos),
            by_column=options.by_column,
        )

    figures = _judge(sums, metrics.au_metrics, counted, predictions.known, options)
    f1 = _by_name(figures.pop("f1"), AU_NAMES)
    there = counted & predictions.known
    curves = metrics.au_reliability(predictions.au_probability[there], labels.au[there])
    figures["by_au"] = {}
    for k, name in enumerate(AU_NAMES):
        known = counted & (labels.au[:, k] != metrics.AU_UNLABELED)
        truth = labels.au[known, k] == 1
        figures["by_au"][name] = {
            "frames": int(known.sum()),
            "f1": f1[name],
            "f1_always_on": metrics.f1(np.ones_like(truth), truth),
            "share_on": truth.mean() if len(truth) else math.nan,
            "share_called": judged.au_active[known, k].mean() if len(truth) else math.nan,
            **_ranking(
                predictions.au_probability[known & there, k], labels.au[known & there, k] == 1
            ),
            "calibration_error": curves[k].error,
            "reliability": _curve(curves[k]),
        }
    errors = [curve.error for curve in curves if curve.count.any()]
    return figures | {"calibration_error_mean": float(np.mean(errors)) if errors else math.nan}


def _ranking(probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> Figures:
    curve = metrics.precision_recall(probability, truth)
    drawn = curve.downsampled(CURVE_POINTS)
    return {
        "auroc": metrics.auroc(probability, truth),
        "average_precision": curve.average_precision,
        "f1_at_best_threshold": metrics.best_f1(probability, truth) if truth.any() else math.nan,
        "precision_recall": {"recall": drawn.recall, "precision": drawn.precision},
    }


def _curve(curve: metrics.Reliability) -> Figures:
    return {"probability": curve.probability, "frequency": curve.frequency, "count": curve.count}


def _expression(
    labels: LabelTable,
    predictions: PredictionTable,
    judged: PredictionTable,
    options: FigureOptions,
) -> Figures | None:
    counted = metrics.labeled_expression(labels.expression) & judged.known
    if not counted.any():
        return None
    predicted = judged.expression

    def sums(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return metrics.expression_sums(
            predicted[rows], labels.expression[rows], labels.video[rows], len(labels.videos)
        )

    figures = _judge(sums, metrics.expression_metrics, counted, predictions.known, options)
    figures["by_class"] = {
        name: {
            "frames": int((labels.expression[counted] == k).sum()),
            "called": int((predicted[counted] == k).sum()),
            "f1": f1,
        }
        for k, (name, f1) in enumerate(_by_name(figures.pop("f1"), EXPRESSION_NAMES).items())
    }
    there = counted & predictions.known
    curve = metrics.expression_reliability(
        predictions.expression_probability[there], labels.expression[there]
    )
    matrix = metrics.confusion(predicted[counted], labels.expression[counted])
    return figures | {
        "confusion": matrix,
        "calibration_error": curve.error,
        "reliability": _curve(curve),
    }


def _valence_arousal(
    labels: LabelTable,
    predictions: PredictionTable,
    judged: PredictionTable,
    options: FigureOptions,
) -> Figures | None:
    counted = metrics.labeled_va(labels.va) & judged.known
    if not counted.any():
        return None

    def sums(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return metrics.va_sums(
            judged.va[rows], labels.va[rows], labels.video[rows], len(labels.videos)
        )

    figures = _judge(sums, metrics.va_metrics, counted, predictions.known, options)
    measures = {
        name: _by_name(figures.pop(name), VA_NAMES)
        for name in ("ccc", "pearson", "rmse", "sign_agreement")
    }
    for k, name in enumerate(VA_NAMES):
        figures[name] = {measure: values[name] for measure, values in measures.items()}
        figures[name]["density"] = np.histogram2d(
            labels.va[counted, k],
            judged.va[counted, k].clip(-1, 1),
            bins=DENSITY_BINS,
            range=((-1, 1), (-1, 1)),
        )[0].astype(np.int64)
    return figures


def _videos(
    labels: LabelTable, predictions: PredictionTable, judged: PredictionTable
) -> list[Figures]:
    """What a look at single videos needs: how many frames, how many predicted, how far off."""
    rows = []
    expression = judged.expression
    for position, name in enumerate(labels.videos):
        part = labels.rows_of(position)
        known = judged.known[part]
        au = metrics.labeled_au(labels.au[part]) & known
        felt = metrics.labeled_expression(labels.expression[part]) & known
        va = metrics.labeled_va(labels.va[part]) & known
        wrong = (judged.au_active[part] != (labels.au[part] == 1))[au]
        rows.append(
            {
                "video": name,
                "frames": part.stop - part.start,
                "predicted": int(predictions.known[part].sum()),
                "au_accuracy": 1 - wrong.mean() if au.any() else math.nan,
                "expression_accuracy": metrics.accuracy(
                    expression[part][felt], labels.expression[part][felt]
                ),
                "valence_rmse": metrics.rmse(judged.va[part][va, 0], labels.va[part][va, 0]),
                "arousal_rmse": metrics.rmse(judged.va[part][va, 1], labels.va[part][va, 1]),
            }
        )
    return rows


def _notes(figures: Figures, videos: int) -> list[str]:
    """What a reader of the figures has to know."""
    notes = []
    named = dict(zip(TASKS, ("action_units", "expression", "valence_arousal"), strict=True))
    for task, section in named.items():
        if figures[section] is None:
            notes.append(f"{task}: nothing to judge, no labeled frame counts.")
        elif figures[section]["videos"] < 2:
            notes.append(
                f"{task}: no confidence intervals, since all labeled frames are of one video."
            )
        elif figures[section]["videos"] < 10:
            notes.append(
                f"{task}: intervals over {figures[section]['videos']} videos only are rough."
            )
        lost = figures["frames"]["labeled_but_not_predicted"][task]
        if lost:
            notes.append(
                f"{task}: {lost} of {figures['frames']['labeled'][task]} labeled frames have no prediction."
            )
    for name, au in (figures["action_units"] or {"by_au": {}})["by_au"].items():
        if au["frames"] == 0:
            notes.append(f"{name} has no labels: it is left out of the mean F1.")
        elif au["share_on"] == 0:
            notes.append(
                f"{name} is never on in these labels: its F1 is 0 by definition and lowers the mean; no AUROC."
            )
        elif au["share_on"] == 1:
            notes.append(f"{name} is always on in these labels: no AUROC.")
    for name, row in (figures["expression"] or {"by_class": {}})["by_class"].items():
        if row["frames"] == 0:
            notes.append(
                f"No frame is labeled {name}: its F1 is 0 by definition and lowers the macro-F1."
            )
    silent = figures["frames"]["videos_without_any_prediction"]
    if silent:
        notes.append(
            f"{len(silent)} of {videos} videos have no prediction at all: {', '.join(silent[:5])}."
        )
    return notes
