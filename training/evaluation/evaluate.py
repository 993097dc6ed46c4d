"""Evaluates a bundle or a prediction file: `python -m training evaluate BUNDLE DATA`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from faceaffect.bundle.bundle import find_bundle
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.bundle.stage_spec import HEAD_NAMES
from faceaffect.pages import missing_packages
from training.datasets.affwild2_annotations import read_test_images
from training.datasets.affwild2_layout import find_test_lists, holds_annotations
from training.datasets.label_maps import OTHER
from training.engine.checkpoint import WEIGHTS_FILE
from training.evaluation.affwild2_labels import load_labels
from training.evaluation.dataset_metrics import MetricOptions, dataset_metrics, plain
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.partial_models import select_heads
from training.evaluation.predict_crops import default_workers, predict_crops
from training.evaluation.predict_run import is_run, predict_run
from training.evaluation.prediction_file import SUFFIXES, read_predictions, write_predictions
from training.evaluation.prediction_table import PredictionTable, drop_non_finite, with_classes
from training.evaluation.report_page import report_page
from training.evaluation.smoothing import Windows, choose_windows, smooth
from training.evaluation.submission import SINGLE_FILE, write_multi_task, write_submission
from training.evaluation.synthetic_images import is_synthetic_image_folder, predict_synthetic_images
from training.metrics import ABAW2, ABAW3, class_count, labeled_au

Metrics = dict[str, Any]

METRICS_FILE: Final = "metrics.json"
PAGE_FILE: Final = "report.html"
PREDICTIONS_FILE: Final = "predictions.csv"
SUBMISSION_FOLDER: Final = "submission"
NO_BUNDLE: Final = "-"
AUTO: Final = "auto"


class EvaluationError(ValueError):
    """Error for data that cannot be evaluated: expected input, actual input, remedy."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """Options of an evaluation besides bundle and data."""

    labels: Path | None = None  # label folder, for a prediction file
    split: str = "validation"
    device: str = "cpu"  # of a training run's network
    cache: Path | None = None  # of a training run's decoded images and audio
    single_file: bool = False  # submissions of ABAW6 and later
    multi_task: bool = False  # a submission of multi-task challenges
    rules: str = AUTO  # of the scores, one of `RULES`; `auto` by labels, model and submission
    smoothing: str = ""  # frames of a moving average, `auto` for the best on validation labels
    annotations: str | None = None  # annotation folder, if a copy has those of several years
    workers: int = field(default_factory=default_workers)
    overwrite: bool = False
    metrics: MetricOptions = field(default_factory=MetricOptions)


def evaluate(bundle: str, data: Path, out: Path, options: EvaluateOptions) -> Metrics:
    """Predicts, evaluates, and writes metrics.json, report.html, predictions.csv and submission/.

    metrics.json is written last: a folder without it is incomplete.

    Args:
        bundle: Bundle name or folder, folder of a method's training run, or `NO_BUNDLE` for a
            prediction file.
        data: Folder in the Aff-Wild2 pixel_format, folder of synthetic images, or prediction file.
        out: Output folder.
        options: Further options.

    Raises:
        EvaluationError: The data cannot be evaluated.
    """
    if (out / METRICS_FILE).exists() and not options.overwrite:
        raise EvaluationError(
            f"{out} already contains an evaluation; add --overwrite or choose another --out"
        )
    if missing := missing_packages():
        raise EvaluationError(f'the report needs {missing}: run pip install "faceaffect[train]"')
    labels, predictions, heads, notes = _predict(bundle, data, options)
    labels, predictions, partial = select_heads(labels, predictions, heads)
    notes += partial
    rules = _rules(options, labels, predictions)
    notes += _note_on_other(rules, predictions)
    predictions = with_classes(predictions, class_count(rules))
    if options.smoothing:
        windows = _smoothing_windows(bundle, data, options, rules, labels, predictions)
        predictions = smooth(predictions, labels, windows)
        lengths = ", ".join(f"{name} {length}" for name, length in windows.items())
        notes.append(f"Moving averages over frames: {lengths}.")
    predictions, broken = drop_non_finite(predictions)
    if broken:
        notes.append(f"{broken} predictions are NaN or infinite and count as missing.")
    # Synthetic images and ABAW1 lack labels of some AUs by design; dropping such frames would leave
    # none.
    is_by_column = not labels.listed or not labeled_au(labels.au).any()
    metric_options = replace(options.metrics, by_column=is_by_column, rules=rules)
    results = plain(dataset_metrics(labels, predictions, metric_options))
    results["notes"] += notes
    results = {"origin": _origin(bundle, data, options, metric_options), **results}
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(out / PREDICTIONS_FILE, labels, predictions)
    if labels.listed:
        _write_submissions(out / SUBMISSION_FOLDER, data, labels, predictions, options, rules)
    (out / PAGE_FILE).write_text(report_page(results), encoding="utf-8")
    (out / METRICS_FILE).write_text(
        json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    return results


def _rules(options: EvaluateOptions, labels: LabelTable, predictions: PredictionTable) -> str:
    """Rules of ABAW3 where labels, model or submission are of that year or later."""
    if options.rules != AUTO:
        return options.rules
    is_later = (
        bool((labels.expression == OTHER).any())
        or predictions.expression_probability.shape[1] > OTHER
        or options.single_file
        or options.multi_task
    )
    return ABAW3 if is_later else ABAW2


def _note_on_other(rules: str, predictions: PredictionTable) -> list[str]:
    if rules == ABAW3 and predictions.expression_probability.shape[1] <= OTHER:
        return ["The model knows seven expressions and never answers Other, whose F1 is then 0."]
    return []


def _write_submissions(
    folder: Path,
    data: Path,
    labels: LabelTable,
    predictions: PredictionTable,
    options: EvaluateOptions,
    rules: str,
) -> None:
    """Submission files of the listed videos; that of all tasks beside those of each."""
    missing = options.metrics.missing
    write_submission(
        folder, labels, predictions, missing, single_file=options.single_file, rules=rules
    )
    if not options.multi_task:
        return
    if lacking := [task for task in TASKS if not labels.listed[task]]:
        raise EvaluationError(
            f"a multi-task submission needs all three tasks, got none of {', '.join(lacking)}"
        )
    lists = find_test_lists(data) if options.split == "test" and data.is_dir() else []
    images = [image for file in lists if file.task is None for image in read_test_images(file.path)]
    write_multi_task(folder / SINGLE_FILE, labels, predictions, missing, images)


def _smoothing_windows(
    bundle: str,
    data: Path,
    options: EvaluateOptions,
    rules: str,
    labels: LabelTable,
    predictions: PredictionTable,
) -> Windows:
    """The given length for all tasks, or the best ones on the validation labels."""
    if options.smoothing != AUTO:
        try:
            length = int(options.smoothing)
        except ValueError:
            raise EvaluationError(
                f"expected an odd number of frames or {AUTO}, got {options.smoothing!r}"
            ) from None
        return dict.fromkeys(("au_probability", "expression_probability", "va"), length)
    if options.split != "validation":
        chosen = replace(options, split="validation")
        labels, predictions, heads, _ = _predict(bundle, data, chosen)
        labels, predictions, _ = select_heads(labels, predictions, heads)
        predictions = with_classes(predictions, class_count(rules))
    return choose_windows(predictions, labels, rules)


def _predict(
    bundle: str, data: Path, options: EvaluateOptions
) -> tuple[LabelTable, PredictionTable, Sequence[str], list[str]]:
    """Returns labels and predictions of the same rows, predicted heads, and notes on the data."""
    if data.is_file():
        if data.suffix.lower() not in SUFFIXES:
            raise EvaluationError(
                f"{data}: expected a prediction file ending in {' or '.join(SUFFIXES)}"
            )
        if options.labels is None:
            raise EvaluationError(f"{data}: prediction files need labels; add --labels FOLDER")
        thresholds = None if bundle == NO_BUNDLE else _spec_of(bundle).au_thresholds
        labels = _labels(options.labels, options)
        predictions, notes = read_predictions(data, labels, thresholds)
        heads = HEAD_NAMES if bundle == NO_BUNDLE else _spec_of(bundle).heads
        return labels, predictions, heads, [*labels.notes, *notes]
    if bundle == NO_BUNDLE:
        raise EvaluationError(
            f"BUNDLE may be {NO_BUNDLE} only if DATA is a prediction file, got {data}"
        )
    if options.labels is not None:
        raise EvaluationError(f"--labels is for prediction files; {data} must contain its labels")
    if is_synthetic_image_folder(data):
        tables = predict_synthetic_images(find_bundle(bundle), data)
        return *tables, _spec_of(bundle).heads, []
    if options.annotations is None and not holds_annotations(data):
        raise EvaluationError(
            f"{data}: expected a folder in the layout of Aff-Wild2 (annotations and "
            "cropped_aligned), a folder of synthetic images (faces_*.npz), or a prediction file "
            f"({', '.join(SUFFIXES)}); {_describe_folder(data)}"
        )
    labels = _labels(data, options)
    if not any(labels.crop):
        raise EvaluationError(
            f"{data}: expected crops in cropped_aligned/<video>/00001.jpg, ..., got none"
        )
    if is_run(bundle):
        predictions, heads, notes = predict_run(
            Path(bundle), data, labels, options.device, options.cache, options.annotations
        )
        return labels, predictions, heads, [*labels.notes, *notes]
    predictions, notes = predict_crops(bundle, labels, options.workers)
    if _spec_of(bundle).uses_audio:
        notes.append(
            "The model uses audio but ran without it: crops have no timestamps to align it."
        )
    return labels, predictions, _spec_of(bundle).heads, [*labels.notes, *notes]


def _labels(folder: Path, options: EvaluateOptions) -> LabelTable:
    return load_labels(
        folder, options.split, annotations=options.annotations, other=options.rules != ABAW2
    )


def _spec_of(bundle: str) -> ModelSpec:
    return ModelSpec.load(find_bundle(bundle))


def _describe_folder(folder: Path) -> str:
    if not folder.is_dir():
        return "got no such folder"
    names = sorted(entry.name for entry in folder.iterdir())
    return (
        f"got {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        if names
        else "got an empty folder"
    )


def _origin(
    bundle: str, data: Path, options: EvaluateOptions, metric_options: MetricOptions
) -> Metrics:
    """Returns model and data by content, not by path, so that records are comparable."""
    if bundle == NO_BUNDLE:
        model, files = data.name, {}
    elif is_run(bundle):
        weights = (Path(bundle) / WEIGHTS_FILE).read_bytes()
        model, files = Path(bundle).name, {WEIGHTS_FILE: hashlib.sha256(weights).hexdigest()}
    else:
        model, files = find_bundle(bundle).name, dict(_spec_of(bundle).files)
    chosen = {name: value for name, value in asdict(metric_options).items() if name != "by_column"}
    return {
        "model": model,
        "data": data.name
        if options.labels is None
        else f"{data.name} with labels of {options.labels.name}",
        "split": options.split,
        "frames_with_some_au_unlabeled": "count for the others"
        if metric_options.by_column
        else "are dropped, as in ABAW2",
        **chosen,
        **{f"sha256 of {name}": digest for name, digest in files.items()},
    }


def print_scores(results: Metrics, console: Console) -> None:
    """Prints the scores of the three tasks as a table."""
    table = Table("score", "value", "95 % interval", "frames")
    rows = (
        ("action_units", ("score", "f1_mean", "accuracy", "exact_match")),
        ("expression", ("score", "macro_f1", "accuracy")),
        ("valence_arousal", ("score",)),
    )
    if results.get("multi_task_score") is not None:
        table.add_row("multi-task score", f"{results['multi_task_score']:.3f}", "-", "")
    for section, names in rows:
        for name in names if results[section] is not None else ():
            metric = results[section][name]
            interval = (
                "-" if metric["low"] is None else f"{metric['low']:.3f} … {metric['high']:.3f}"
            )
            value = "-" if metric["value"] is None else f"{metric['value']:.3f}"
            table.add_row(f"{section} {name}", value, interval, str(results[section]["frames"]))
    console.print(table)
    for note in results["notes"]:
        console.print(note, style="yellow", markup=False, highlight=False)
