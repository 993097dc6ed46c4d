"""Sampling weights that balance the frequencies of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.frame_table import FrameTable, Rows

VA_BINS = 20


def class_balanced_weights(table: FrameTable, rows: Rows) -> NDArray[np.float64]:
    """1 / count of the row's expression class [N]; 0 for unlabeled rows."""
    classes, known = table.expression[rows], table.expression_mask[rows]
    counts = np.bincount(classes[known], minlength=len(EXPRESSION_NAMES))
    return np.where(known, 1 / np.maximum(counts, 1)[classes], 0.0)


def va_balanced_weights(table: FrameTable, rows: Rows, bins: int = VA_BINS) -> NDArray[np.float64]:
    """1 / count of the row's cell in a `bins` x `bins` grid of valence and arousal [N].

    0 for unlabeled rows.
    """
    known = table.va_mask[rows]
    cells = np.clip(((table.va[rows] + 1) / 2 * bins).astype(np.int64), 0, bins - 1)
    cell = cells[:, 0] * bins + cells[:, 1]
    counts = np.bincount(cell[known], minlength=bins**2)
    return np.where(known, 1 / np.maximum(counts, 1)[cell], 0.0)


def class_and_va_balanced_weights(
    table: FrameTable, rows: Rows, bins: int = VA_BINS
) -> NDArray[np.float64]:
    """Sum of the class and VA weights [N], for rows with either label (M8)."""
    return class_balanced_weights(table, rows) + va_balanced_weights(table, rows, bins)
