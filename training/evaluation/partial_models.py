"""Restricts an evaluation to the tasks that a model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from faceaffect.bundle.stage_spec import HEAD_NAMES
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import PredictionTable
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

_TITLES: Final = dict(
    zip(HEAD_NAMES, ("action units", "expressions", "valence and arousal"), strict=True)
)
_UNLABELED: Final = dict(
    zip(HEAD_NAMES, (AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED), strict=True)
)


def select_heads(
    labels: LabelTable, predictions: PredictionTable, heads: Sequence[str]
) -> tuple[LabelTable, PredictionTable, list[str]]:
    """Returns both tables restricted to `heads` (of the spec), and a note on missing ones.

    Labels of missing heads are removed; their predictions (NaN) are replaced by neutral ones, so
    that the rows count for the other heads.
    """
    missing = [head for head in HEAD_NAMES if head not in heads]
    if not missing:
        return labels, predictions, []
    off: dict[str, Any] = {
        head: np.full_like(getattr(labels, head), _UNLABELED[head]) for head in missing
    }
    listed = {
        task: frozenset() if head in missing else labels.listed[task]
        for task, head in zip(TASKS, HEAD_NAMES, strict=True)
        if task in labels.listed
    }
    neutral = {
        "au": {"au_probability": np.zeros_like(predictions.au_probability)},
        "expression": {
            "expression_probability": np.eye(
                predictions.expression_probability.shape[1], dtype=np.float32
            )[np.zeros(len(labels), int)]
        },
        "va": {"va": np.zeros_like(predictions.va)},
    }
    filled: dict[str, Any] = {
        name: value for head in missing for name, value in neutral[head].items()
    }
    names = " and ".join(_TITLES[head] for head in missing)
    note = f"The model does not predict {names}: not evaluated, not submitted."
    return replace(labels, **off, listed=listed), replace(predictions, **filled), [note]
