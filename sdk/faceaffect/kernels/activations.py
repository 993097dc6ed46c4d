"""Activation functions that turn logits into probabilities."""

from __future__ import annotations

import numpy as np

from faceaffect.kernels.native import native
from faceaffect.types import FloatArray


def sigmoid(logit: FloatArray) -> FloatArray:
    """Logistic function, safe for any finite or infinite input."""
    if native is not None and logit.ndim == 1:
        probability: FloatArray = native.sigmoid(logit)
        return probability
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)), np.float32)


def softmax(logit: FloatArray) -> FloatArray:
    """Softmax over the last axis."""
    # The ufuncs' own reductions: the methods of the same name spend most of their time in Python.
    power = np.exp(logit - np.maximum.reduce(logit, axis=-1, keepdims=True))
    return np.asarray(power / np.add.reduce(power, axis=-1, keepdims=True), np.float32)
