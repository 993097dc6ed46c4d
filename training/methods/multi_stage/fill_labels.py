"""Replaces missing labels of a table by predictions of trained models (M1, M6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import SPLITS, TASKS, FrameTable
from training.methods.batch_builder import LABELS

MAX_VA: Final = 0.99
SURE_EXPRESSION: Final = 0.9
SURE_AU: Final = 0.3
"""Confidence of labels: the expression's probability; the distance from 0.5 of each AU's."""


def fill_labels(
    table: FrameTable,
    rows: NDArray[np.int64],
    predictions: Mapping[str, NDArray[np.float32]],
    *,
    only_sure: bool = False,
) -> FrameTable:
    """Fill missing labels of a table by hard pseudo-labels.

    These are AU p > 0.5, the most probable expression, and valence and arousal within +-0.99.

    `predictions` are `au` [K, 12], `expression` [K, 7] and `va` [K, 2] of `rows` [K], each or none.
    True labels are kept. Held-out videos of a task (validation, test) are not filled for it. With
    `only_sure` a row gets an expression of more than `SURE_EXPRESSION`, or AUs all of which are
    `SURE_AU` from 0.5; valence and arousal have no confidence.
    """
    columns: dict[str, Any] = {
        f"{name}{suffix}": getattr(table, f"{name}{suffix}").copy()
        for name in predictions
        for suffix in ("", "_mask")
    }
    held_out_splits = [SPLITS.index("validation"), SPLITS.index("test")]
    is_held_out = np.isin(table.splits, held_out_splits)[table.video[rows]]
    is_labeled = table.masks[rows]
    for k, task in enumerate(TASKS):
        name = LABELS[task]
        if name not in predictions:
            continue
        values = predictions[name]
        if not np.isfinite(values).all():
            raise ValueError(f"expected finite predictions of {name}, got NaN or infinity")
        fill = ~is_labeled[:, k] & ~is_held_out[:, k]
        if only_sure:
            fill &= _is_sure(name, values)
        columns[name][rows[fill]] = _hard_labels(name, values[fill])
        columns[f"{name}_mask"][rows[fill]] = True
    return replace(table, **columns)


def _is_sure(name: str, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    if name == "au":
        return np.asarray((np.abs(values - 0.5) > SURE_AU).all(axis=1))
    if name == "expression":
        return np.asarray(values.max(axis=1) > SURE_EXPRESSION)
    return np.ones(len(values), bool)


def _hard_labels(name: str, values: NDArray[np.float32]) -> NDArray[Any]:
    if name == "au":
        return (values > 0.5).astype(np.float32)
    if name == "expression":
        return np.asarray(values.argmax(axis=1).astype(np.int8))
    return np.clip(values, -MAX_VA, MAX_VA)
