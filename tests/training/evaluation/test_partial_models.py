"""Evaluation of models without all heads: missing heads are excluded and cost no rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.partial_models import select_heads
from training.evaluation.prediction_table import drop_non_finite, empty_predictions
from training.evaluation.submission import write_submission

pytestmark = pytest.mark.train


COUNT = 6


def labeled() -> LabelTable:
    random = np.random.default_rng(0)
    return LabelTable(
        videos=("a",),
        video=np.zeros(COUNT, np.int64),
        frame=np.arange(1, COUNT + 1),
        crop=("x.jpg",) * COUNT,
        au=random.integers(0, 2, (COUNT, 12)).astype(np.int8),
        expression=random.integers(0, 7, COUNT).astype(np.int8),
        va=random.uniform(-1, 1, (COUNT, 2)).astype(np.float32),
        listed=dict.fromkeys(TASKS, frozenset({"a"})),
    )


@pytest.mark.parametrize(
    ("heads", "files"), [(("au",), ["AU_Set"]), (("expression", "va"), ["EXPR_Set", "VA_Set"])]
)
def test_select_heads_restricts_evaluation_and_submission(
    heads: tuple[str, ...], files: list[str], tmp_path: Path
) -> None:
    labels, predictions = labeled(), empty_predictions(COUNT)
    predictions.known[:] = True
    if "au" in heads:
        predictions.au_probability[:] = 0.7
    else:
        predictions.expression_probability[:], predictions.va[:] = 1 / 7, 0.2
    assert drop_non_finite(predictions)[1] == COUNT, "NaN of a missing head would drop all rows"
    evaluated, filled, notes = select_heads(labels, predictions, heads)
    assert drop_non_finite(filled)[1] == 0
    for head, unlabeled in (("au", -1), ("expression", -1), ("va", -5)):
        expected = (
            getattr(labels, head)
            if head in heads
            else np.full_like(getattr(labels, head), unlabeled)
        )
        assert (getattr(evaluated, head) == expected).all()
    assert (filled.au_probability == predictions.au_probability).all() == ("au" in heads)
    assert len(notes) == 1
    write_submission(tmp_path, evaluated, filled, "hold")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == files


def test_select_heads_of_complete_model_changes_nothing() -> None:
    labels, predictions = labeled(), empty_predictions(COUNT)
    assert select_heads(labels, predictions, ("au", "expression", "va")) == (
        labels,
        predictions,
        [],
    )
