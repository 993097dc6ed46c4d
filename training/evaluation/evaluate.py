"""A bundle, or a file of predictions, against labels: `python -m training evaluate BUNDLE DATA`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from faceaffect.bundle.bundle import find_bundle
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.pages import missing_packages
from training.datasets.affwild2_layout import holds_annotations
from training.evaluation.affwild2_labels import load_labels
from training.evaluation.dataset_metrics import FigureOptions, dataset_metrics, plain
from training.evaluation.label_table import LabelTable
from training.evaluation.partial_models import of_heads
from training.evaluation.predict_crops import predict_crops, usual_workers
from training.evaluation.prediction_file import SUFFIXES, read_predictions, write_predictions
from training.evaluation.prediction_table import PredictionTable, without_broken
from training.evaluation.report_page import report_page
from training.evaluation.submission import write_submission
from training.evaluation.synthetic_images import is_stills, predict_stills
from training.metrics import labeled_au

Figures = dict[str, Any]

FIGURES_FILE: Final = "figures.json"
PAGE_FILE: Final = "report.html"
PREDICTIONS_FILE: Final = "predictions.csv"
SUBMISSION_FOLDER: Final = "submission"
NO_BUNDLE: Final = "-"


class EvaluationError(ValueError):
    """Something that cannot be evaluated: what was wanted, what came, what to do."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What the command line says beside bundle and data."""

    labels: Path | None = None  # folder of labels, for a file of predictions
    split: str = "validation"
    annotations: str | None = (
        None  # the annotation folder, where a copy holds those of several years
    )
    workers: int = field(default_factory=usual_workers)
    overwrite: bool = False
    figures: FigureOptions = field(default_factory=FigureOptions)


def evaluate(bundle: str, data: Path, out: Path, options: EvaluateOptions) -> Figures:
    """Predict, judge, and write figures.json, report.html, predictions.csv and submission/ into
    `out`.

    `data` is a folder in the layout of Aff-Wild2, a folder of rendered stills, or a table of
    predictions. The figures are written last, so that a folder without them is unfinished.
    Raises EvaluationError and the errors of the readers.
    """
    if (out / FIGURES_FILE).exists() and not options.overwrite:
        raise EvaluationError(
            f"{out} holds an evaluation already; add --overwrite or choose another --out"
        )
    if missing := missing_packages():
        raise EvaluationError(
            f'the report needs {missing}: run pip install "faceaffect[train]"'
        )
    labels, predictions, notes = _predict(bundle, data, options)
    if bundle != NO_BUNDLE:
        labels, predictions, partial = of_heads(labels, predictions, _spec_of(bundle).heads)
        notes += partial
    predictions, broken = without_broken(predictions)
    if broken:
        notes.append(
            f"{broken} predictions hold NaN or infinity and count as none: the model is broken there."
        )
    # Stills and the eight AUs of ABAW1 lack some AUs by design; dropping whole frames for that
    # would leave nothing.
    is_by_column = not labels.listed or not labeled_au(labels.au).any()
    figure_options = replace(options.figures, by_column=is_by_column)
    figures = plain(dataset_metrics(labels, predictions, figure_options))
    figures["notes"] += notes
    figures = {"origin": _origin(bundle, data, options, is_by_column), **figures}
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(out / PREDICTIONS_FILE, labels, predictions)
    if labels.listed:
        write_submission(out / SUBMISSION_FOLDER, labels, predictions, options.figures.missing)
    (out / PAGE_FILE).write_text(report_page(figures), encoding="utf-8")
    (out / FIGURES_FILE).write_text(
        json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    return figures


def _predict(
    bundle: str, data: Path, options: EvaluateOptions
) -> tuple[LabelTable, PredictionTable, list[str]]:
    """Labels and predictions row for row, and notes on what was skipped."""
    if data.is_file():
        if data.suffix.lower() not in SUFFIXES:
            raise EvaluationError(
                f"{data}: a file of predictions must end in {' or '.join(SUFFIXES)}"
            )
        if options.labels is None:
            raise EvaluationError(
                f"{data}: predictions need the labels they are judged by; add --labels FOLDER"
            )
        thresholds = None if bundle == NO_BUNDLE else _spec_of(bundle).au_thresholds
        labels = load_labels(options.labels, options.split, annotations=options.annotations)
        predictions, notes = read_predictions(data, labels, thresholds)
        return labels, predictions, [*labels.notes, *notes]
    if bundle == NO_BUNDLE:
        raise EvaluationError(
            f"BUNDLE may be {NO_BUNDLE} only where DATA is a file of predictions, got {data}"
        )
    if options.labels is not None:
        raise EvaluationError(
            f"--labels is for files of predictions; {data} must hold its labels itself"
        )
    if is_stills(data):
        return *predict_stills(find_bundle(bundle), data), []
    if options.annotations is None and not holds_annotations(data):
        raise EvaluationError(
            f"{data}: wanted a folder in the layout of Aff-Wild2 (annotations and cropped_aligned), one of "
            f"rendered faces (faces_*.npz), or a file of predictions ({', '.join(SUFFIXES)}); {_holds(data)}"
        )
    labels = load_labels(data, options.split, annotations=options.annotations)
    if not any(labels.crop):
        raise EvaluationError(
            f"{data}: crops were wanted in cropped_aligned/<video>/00001.jpg, ...; there are none"
        )
    predictions, notes = predict_crops(bundle, labels, options.workers)
    if _spec_of(bundle).uses_audio:
        notes.append(
            "The model hears audio and was given none: crops carry no times that would place it."
        )
    return labels, predictions, [*labels.notes, *notes]


def _spec_of(bundle: str) -> ModelSpec:
    return ModelSpec.load(find_bundle(bundle))


def _holds(folder: Path) -> str:
    if not folder.is_dir():
        return "there is no such folder"
    names = sorted(entry.name for entry in folder.iterdir())
    return (
        f"it holds {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        if names
        else "it is empty"
    )


def _origin(bundle: str, data: Path, options: EvaluateOptions, is_by_column: bool) -> Figures:
    """What was evaluated on what; by content and not by path, so that a record can be compared."""
    model = data.name if bundle == NO_BUNDLE else find_bundle(bundle).name
    files = {} if bundle == NO_BUNDLE else _spec_of(bundle).files
    asked = {name: value for name, value in asdict(options.figures).items() if name != "by_column"}
    return {
        "model": model,
        "data": data.name
        if options.labels is None
        else f"{data.name} with labels of {options.labels.name}",
        "split": options.split,
        "frames_with_some_au_unlabeled": "count for the others"
        if is_by_column
        else "are dropped, as in ABAW2",
        **asked,
        **{f"sha256 of {name}": digest for name, digest in files.items()},
    }


def print_scores(figures: Figures, console: Console) -> None:
    """The scores of the three tracks as a table."""
    table = Table("score", "value", "95 % interval", "frames")
    rows = (
        ("action_units", ("score", "f1_mean", "accuracy", "exact_match")),
        ("expression", ("score", "macro_f1", "accuracy")),
        ("valence_arousal", ("score",)),
    )
    for section, names in rows:
        for name in names if figures[section] is not None else ():
            figure = figures[section][name]
            interval = (
                "-" if figure["low"] is None else f"{figure['low']:.3f} … {figure['high']:.3f}"
            )
            value = "-" if figure["value"] is None else f"{figure['value']:.3f}"
            table.add_row(f"{section} {name}", value, interval, str(figures[section]["frames"]))
    console.print(table)
    for note in figures["notes"]:
        console.print(note, style="yellow", markup=False, highlight=False)
