"""Metrics of predictions against labels, as stored in metrics.json and shown in the report.

Decisions (F1, accuracy, CCC) are evaluated on every labeled frame; the `missing` rule determines
frames without a prediction. Ranking and calibration metrics (AUROC, precision-recall, reliability)
are evaluated on predicted frames only, since a substitute has no probability. `predicted_only`
holds the scores on predicted frames alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training import metrics
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import HOLD, MISSING_RULES, PredictionTable, hold_last

Metrics = dict[str, Any]

CURVE_POINTS = 150
DENSITY_BINS = 40
VA_NAMES = ("valence", "arousal")


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """Handling of frames without a prediction, and parameters of the confidence intervals."""

    missing: str = HOLD
    resamples: int = 1000
    seed: int = 0
    # Whether frames with some unlabeled AUs count for the others; they do not in the challenge.
    by_column: bool = False
    rules: str = metrics.ABAW2  # of the scores, one of `metrics.RULES`

    @property
    def expressions(self) -> tuple[str, ...]:
        return metrics.CHALLENGE_EXPRESSIONS[: metrics.class_count(self.rules)]


def dataset_metrics(
    labels: LabelTable, predictions: PredictionTable, options: MetricOptions
) -> Metrics:
    """Computes all metrics; a task without labeled frames is None."""
    evaluated = hold_last(predictions, labels) if options.missing == HOLD else predictions
    compared = _Compared(labels, predictions, evaluated, options)
    results: Metrics = {
        "frames": _frames(labels, predictions, options),
        "action_units": _action_units(compared),
        "expression": _expression(compared),
        "valence_arousal": _valence_arousal(compared),
        "videos": _videos(compared),
    }
    if options.rules == metrics.ABAW3:
        results["multi_task_score"] = _multi_task_score(results)
    return results | {"notes": _notes(results, len(labels.videos))}


def _multi_task_score(results: Metrics) -> float | None:
    """Sum of the three tasks' scores, as in multi-task challenges; None without one of them."""
    parts = [results[name] for name in ("action_units", "expression", "valence_arousal")]
    return None if None in parts else float(sum(part["score"]["value"] for part in parts))


def plain(value: Any) -> Any:
    """Converts arrays and NumPy numbers to JSON types; NaN becomes None."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _labeled(labels: LabelTable, options: MetricOptions) -> dict[str, NDArray[np.bool_]]:
    """Returns the labeled frames [N] of each task."""
    if options.by_column:
        au = (labels.au != metrics.AU_UNLABELED).any(axis=1)
    else:
        au = metrics.labeled_au(labels.au)
    classes = len(options.expressions)
    expression = metrics.labeled_expression(labels.expression, classes)
    rows = (au, expression, metrics.labeled_va(labels.va))
    return dict(zip(TASKS, rows, strict=True))


def _frames(labels: LabelTable, predictions: PredictionTable, options: MetricOptions) -> Metrics:
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


@dataclass(frozen=True, slots=True)
class _Compared:
    """Labels and predictions of the same rows; `evaluated` has values for missing predictions."""

    labels: LabelTable
    predictions: PredictionTable
    evaluated: PredictionTable
    options: MetricOptions

    def with_intervals(
        self,
        sums_of: Callable[..., NDArray[np.float64]],
        metrics_of: Callable[[NDArray[np.float64]], metrics.Metrics],
        counted: NDArray[np.bool_],
        predicted: NDArray[Any],
        truth: NDArray[Any],
    ) -> Metrics:
        """Each metric with its interval on labeled frames, and its value on predicted ones."""

        def sums_over(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
            video = self.labels.video[rows]
            return sums_of(predicted[rows], truth[rows], video, len(self.labels.videos))

        sums = sums_over(counted)
        bounds = metrics.bootstrap(sums, metrics_of, self.options.resamples, self.options.seed)
        values = metrics_of(sums.sum(axis=0))
        there = metrics_of(sums_over(counted & self.predictions.known).sum(axis=0))
        return {
            "frames": int(counted.sum()),
            "videos": int(sums.any(axis=1).sum()),
            **{
                name: {"value": values[name], "low": bounds[name][0], "high": bounds[name][1]}
                for name in values
            },
            "predicted_only": {name: value for name, value in there.items() if np.ndim(value) == 0},
        }


def _by_name(metric: Metrics, names: tuple[str, ...]) -> Metrics:
    """Splits a metric with one value per name into one metric per name."""
    return {
        name: {part: values[k] for part, values in metric.items()} for k, name in enumerate(names)
    }


def _action_units(compared: _Compared) -> Metrics | None:
    labels, predictions, evaluated = compared.labels, compared.predictions, compared.evaluated
    counted = _labeled(labels, compared.options)[TASKS[0]] & evaluated.known
    if not counted.any():
        return None
    sums = partial(metrics.au_sums, by_column=compared.options.by_column)
    results = compared.with_intervals(
        sums,
        partial(metrics.au_metrics, rules=compared.options.rules),
        counted,
        evaluated.au_active,
        labels.au,
    )
    f1 = _by_name(results.pop("f1"), AU_NAMES)
    there = counted & predictions.known
    curves = metrics.au_reliability(predictions.au_probability[there], labels.au[there])
    results["by_au"] = {}
    for k, name in enumerate(AU_NAMES):
        known = counted & (labels.au[:, k] != metrics.AU_UNLABELED)
        truth = labels.au[known, k] == 1
        results["by_au"][name] = {
            "frames": int(known.sum()),
            "f1": f1[name],
            "f1_if_always_active": metrics.f1(np.ones_like(truth), truth),
            "active_fraction": truth.mean() if len(truth) else math.nan,
            "predicted_fraction": evaluated.au_active[known, k].mean() if len(truth) else math.nan,
            **_ranking(
                predictions.au_probability[known & there, k], labels.au[known & there, k] == 1
            ),
            "calibration_error": curves[k].error,
            "reliability": _curve(curves[k]),
        }
    errors = [curve.error for curve in curves if curve.count.any()]
    return results | {"calibration_error_mean": float(np.mean(errors)) if errors else math.nan}


def _ranking(probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> Metrics:
    curve = metrics.precision_recall(probability, truth)
    thinned = curve.downsampled(CURVE_POINTS)
    return {
        "auroc": metrics.auroc(probability, truth),
        "average_precision": curve.average_precision,
        "f1_at_best_threshold": metrics.best_f1(probability, truth) if truth.any() else math.nan,
        "precision_recall": {"recall": thinned.recall, "precision": thinned.precision},
    }


def _curve(curve: metrics.Reliability) -> Metrics:
    return {"probability": curve.probability, "frequency": curve.frequency, "count": curve.count}


def _expression(compared: _Compared) -> Metrics | None:
    labels, predictions, evaluated = compared.labels, compared.predictions, compared.evaluated
    names = compared.options.expressions
    counted = metrics.labeled_expression(labels.expression, len(names)) & evaluated.known
    if not counted.any():
        return None
    predicted = evaluated.expression
    results = compared.with_intervals(
        partial(metrics.expression_sums, classes=len(names)),
        partial(metrics.expression_metrics, rules=compared.options.rules),
        counted,
        predicted,
        labels.expression,
    )
    results["by_class"] = {
        name: {
            "frames": int((labels.expression[counted] == k).sum()),
            "predicted": int((predicted[counted] == k).sum()),
            "f1": f1,
        }
        for k, (name, f1) in enumerate(_by_name(results.pop("f1"), names).items())
    }
    there = counted & predictions.known
    curve = metrics.expression_reliability(
        predictions.expression_probability[there], labels.expression[there]
    )
    matrix = metrics.confusion(predicted[counted], labels.expression[counted], len(names))
    return results | {
        "confusion": matrix,
        "calibration_error": curve.error,
        "reliability": _curve(curve),
    }


def _valence_arousal(compared: _Compared) -> Metrics | None:
    labels, evaluated = compared.labels, compared.evaluated
    counted = metrics.labeled_va(labels.va) & evaluated.known
    if not counted.any():
        return None
    results = compared.with_intervals(
        metrics.va_sums, metrics.va_metrics, counted, evaluated.va, labels.va
    )
    measures = {
        name: _by_name(results.pop(name), VA_NAMES)
        for name in ("ccc", "pearson", "rmse", "sign_agreement")
    }
    for k, name in enumerate(VA_NAMES):
        results[name] = {measure: values[name] for measure, values in measures.items()}
        results[name]["density"] = np.histogram2d(
            labels.va[counted, k],
            evaluated.va[counted, k].clip(-1, 1),
            bins=DENSITY_BINS,
            range=((-1, 1), (-1, 1)),
        )[0].astype(np.int64)
    return results


def _videos(compared: _Compared) -> list[Metrics]:
    """Returns the number of frames, predictions and errors of each video."""
    labels, predictions, evaluated = compared.labels, compared.predictions, compared.evaluated
    classes = len(compared.options.expressions)
    rows = []
    expression = evaluated.expression
    for position, name in enumerate(labels.videos):
        part = labels.rows_of(position)
        known = evaluated.known[part]
        au = metrics.labeled_au(labels.au[part]) & known
        is_expression_labeled = metrics.labeled_expression(labels.expression[part], classes) & known
        va = metrics.labeled_va(labels.va[part]) & known
        wrong = (evaluated.au_active[part] != (labels.au[part] == 1))[au]
        rows.append(
            {
                "video": name,
                "frames": part.stop - part.start,
                "predicted": int(predictions.known[part].sum()),
                "au_accuracy": 1 - wrong.mean() if au.any() else math.nan,
                "expression_accuracy": metrics.accuracy(
                    expression[part][is_expression_labeled],
                    labels.expression[part][is_expression_labeled],
                ),
                "valence_rmse": metrics.rmse(evaluated.va[part][va, 0], labels.va[part][va, 0]),
                "arousal_rmse": metrics.rmse(evaluated.va[part][va, 1], labels.va[part][va, 1]),
            }
        )
    return rows


def _notes(results: Metrics, videos: int) -> list[str]:
    """Returns caveats for readers of the metrics."""
    notes = []
    named = dict(zip(TASKS, ("action_units", "expression", "valence_arousal"), strict=True))
    for task, section in named.items():
        if results[section] is None:
            notes.append(f"{task}: not evaluated, no labeled frames.")
        elif results[section]["videos"] < 2:
            notes.append(f"{task}: no confidence intervals, all labeled frames are of one video.")
        elif results[section]["videos"] < 10:
            notes.append(
                f"{task}: intervals over {results[section]['videos']} videos are imprecise."
            )
        lost = results["frames"]["labeled_but_not_predicted"][task]
        if lost:
            notes.append(
                f"{task}: {lost} of {results['frames']['labeled'][task]} labeled frames have no "
                "prediction."
            )
    for name, au in (results["action_units"] or {"by_au": {}})["by_au"].items():
        if au["frames"] == 0:
            notes.append(f"{name} has no labels: it is excluded from the mean F1.")
        elif au["active_fraction"] == 0:
            notes.append(
                f"{name} is never active in these labels: its F1 is 0 by definition and lowers the "
                "mean; no AUROC."
            )
        elif au["active_fraction"] == 1:
            notes.append(f"{name} is always active in these labels: no AUROC.")
    for name, row in (results["expression"] or {"by_class": {}})["by_class"].items():
        if row["frames"] == 0:
            notes.append(
                f"No frame is labeled {name}: its F1 is 0 by definition and lowers the macro-F1."
            )
    unpredicted = results["frames"]["videos_without_any_prediction"]
    if unpredicted:
        names = ", ".join(unpredicted[:5])
        notes.append(f"{len(unpredicted)} of {videos} videos have no prediction: {names}.")
    return notes
