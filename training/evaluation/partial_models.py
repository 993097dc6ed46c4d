"""Models that read only some of the three tasks: the others are judged by nothing and submitted
nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from faceaffect.bundle.stage_spec import HEAD_NAMES
from faceaffect.labels import EXPRESSION_NAMES
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import PredictionTable
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

_SAID: Final = dict(
    zip(HEAD_NAMES, ("action units", "expressions", "valence and arousal"), strict=True)
)
_UNLABELED: Final = dict(
    zip(HEAD_NAMES, (AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED), strict=True)
)


def of_heads(
    labels: LabelTable, predictions: PredictionTable, heads: Sequence[str]
) -> tuple[LabelTable, PredictionTable, list[str]]:
    """Both tables for a model of `heads` (as in its spec), and a note where it lacks one.

    Labels of a missing head are off; its predictions, NaN before, are neutral, so that the rows
    count for the others.
    """
    missing = [head for head in HEAD_NAMES if head not in heads]
    if not missing:
        return labels, predictions, []
    off: dict[str, Any] = {
        head: np.full_like(getattr(labels, head), _UNLABELED[head]) for head in missing
    }
    listed = {task: frozenset() if head in missing else labels.listed[task]
              for task, head in zip(TASKS, HEAD_NAMES, strict=True) if task in labels.listed}  # fmt: skip
    neutral = {
        "au": {"au_probability": np.zeros_like(predictions.au_probability)},
        "expression": {
            "expression_probability": np.eye(len(EXPRESSION_NAMES), dtype=np.float32)[
                np.zeros(len(labels), int)
            ]
        },
        "va": {"va": np.zeros_like(predictions.va)},
    }
    filled: dict[str, Any] = {
        name: value for head in missing for name, value in neutral[head].items()
    }
    note = f"The model does not read {' and '.join(_SAID[head] for head in missing)}: not judged, not submitted."
    return replace(labels, **off, listed=listed), replace(predictions, **filled), [note]
