"""What was predicted for the frames of a label table, and what stands for frames without a
prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import FloatArray
from training.evaluation.label_table import LabelTable

HOLD: Final = "hold"
DROP: Final = "drop"

MISSING_RULES: Final = {
    HOLD: "A frame without a prediction takes that of the frame before it in its video; before the first prediction "
    "stands a neutral face: no AU, expression neutral, valence and arousal 0.",
    DROP: "A frame without a prediction counts for nothing; submissions hold -1 (AU, expression) and -5 (valence, arousal).",
}
"""Hold is what most entries of the challenge did and what a live system does: a submission has a
row for every frame, and every labeled frame counts whether a face was found in it or not.
"""


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """Row for row with a label table; NaN and False where `known` is False."""

    known: NDArray[np.bool_]  # [N]
    au_probability: FloatArray  # [N, 12]
    au_active: NDArray[np.bool_]  # [N, 12]
    expression_probability: FloatArray  # [N, 7]
    va: FloatArray  # [N, 2]

    @property
    def expression(self) -> NDArray[np.int64]:
        """The most probable class [N]; -1 where nothing is known."""
        filled = np.where(self.known[:, None], self.expression_probability, 0)
        return np.where(self.known, filled.argmax(axis=1), -1)

    def select(self, rows: NDArray[np.bool_]) -> PredictionTable:
        """The same, of some rows."""
        return PredictionTable(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def no_predictions(count: int) -> PredictionTable:
    """Of `count` frames nothing is known yet; to be filled in row by row."""
    return PredictionTable(
        known=np.zeros(count, np.bool_),
        au_probability=np.full((count, len(AU_NAMES)), np.nan, np.float32),
        au_active=np.zeros((count, len(AU_NAMES)), np.bool_),
        expression_probability=np.full((count, len(EXPRESSION_NAMES)), np.nan, np.float32),
        va=np.full((count, 2), np.nan, np.float32),
    )


def without_broken(predictions: PredictionTable) -> tuple[PredictionTable, int]:
    """Rows that hold a NaN or infinity count as not predicted; the table, and how many there were."""
    scores = (predictions.au_probability, predictions.expression_probability, predictions.va)
    is_finite = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in scores])
    return replace(predictions, known=predictions.known & is_finite), int(
        (predictions.known & ~is_finite).sum()
    )


def hold(predictions: PredictionTable, labels: LabelTable) -> PredictionTable:
    """Every row filled by the rule `hold`."""
    row = np.arange(len(labels))
    source = np.maximum.accumulate(np.where(predictions.known, row, -1))
    first_row = row - (labels.frame - 1)
    is_held = source >= first_row
    held = predictions.select(np.maximum(source, 0))
    neutral = np.eye(len(EXPRESSION_NAMES), dtype=np.float32)[0]
    here = is_held[:, None]
    return PredictionTable(
        known=np.ones(len(labels), np.bool_),
        au_probability=np.where(here, held.au_probability, np.float32(0)),
        au_active=held.au_active & here,
        expression_probability=np.where(here, held.expression_probability, neutral),
        va=np.where(here, held.va, np.float32(0)),
    )
