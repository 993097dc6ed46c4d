"""Majority baseline: the most frequent training label for every frame."""

from __future__ import annotations

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.datasets.frame_table import FrameTable
from training.methods.predict import MethodPredictions


def majority_predictions(train: FrameTable, count: int) -> MethodPredictions:
    """Predict the majority of each AU, the most frequent expression, and mean valence and arousal
    for `count` frames.
    """
    known = train.au_mask.sum(axis=0)
    rate = np.where(train.au_mask, train.au, 0).sum(axis=0) / np.maximum(known, 1)
    classes = train.expression[train.expression_mask]
    majority = int(np.bincount(classes, minlength=len(EXPRESSION_NAMES)).argmax())
    va = train.va[train.va_mask].mean(axis=0) if train.va_mask.any() else np.zeros(2, np.float32)
    expression = np.zeros((count, len(EXPRESSION_NAMES)), np.float32)
    expression[:, majority] = 1
    return MethodPredictions(
        known=np.ones(count, bool),
        au=np.tile((rate > 0.5).astype(np.float32), (count, 1)).reshape(count, len(AU_NAMES)),
        expression=expression,
        va=np.tile(va.astype(np.float32), (count, 1)),
    )
