"""Runs the network of a method's training run on the crops of a label table, offline.

Unlike a bundle, networks that look ahead (M2, M5, M7 and M8 as published) run so, on whole windows
and videos, with audio, on any device.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from faceaffect.bundle.stage_spec import HEAD_NAMES
from faceaffect.labels import EXPRESSION_NAMES
from training.engine.checkpoint import RUN_FILE
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, empty_predictions
from training.methods.data import open_rows
from training.methods.load_run import read_method_run
from training.methods.predict import method_predictions
from training.methods.scores import THRESHOLD
from training.methods.train_run import recipe_inputs

OFFLINE: Final = (
    "Predicted offline by the network of a training run: windows and videos as a whole, with audio."
)


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a training run."""
    return (Path(folder) / RUN_FILE).is_file()


def predict_run(
    run: Path,
    data: Path,
    labels: LabelTable,
    device: str = "cpu",
    cache: Path | None = None,
    annotations: str | None = None,
) -> tuple[PredictionTable, tuple[str, ...], list[str]]:
    """Predictions of all crops of the videos of `labels`, the predicted heads, and notes.

    Raises:
        ValueError, OSError: the run or the data cannot be read.
    """
    recipe, net = read_method_run(run)
    rows = open_rows(data, recipe_inputs(recipe), cache, annotations=annotations)
    index_of = {name: k for k, name in enumerate(labels.videos)}
    is_used = np.array([name in index_of for name in rows.train.videos])
    table = rows.train.select(is_used[rows.train.video])
    found = method_predictions(net, recipe, table, rows, device)
    video = np.array([index_of[name] for name in table.videos], np.int64)[table.video]
    target = labels.row_index(video, table.frame.astype(np.int64))
    kept = found.known & (target >= 0)
    target = target[kept]
    classes = len(EXPRESSION_NAMES) if found.expression is None else found.expression.shape[1]
    predictions = empty_predictions(len(labels), classes)
    predictions.known[target] = True
    if found.au is not None:
        predictions.au_probability[target] = found.au[kept]
        predictions.au_active[target] = found.au[kept] > THRESHOLD
    if found.expression is not None:
        predictions.expression_probability[target] = found.expression[kept]
    if found.va is not None:
        predictions.va[target] = found.va[kept]
    values = (found.au, found.expression, found.va)
    heads = tuple(head for head, value in zip(HEAD_NAMES, values, strict=True) if value is not None)
    return predictions, heads, [f"{OFFLINE} ({recipe.title}, {run.name})"]
