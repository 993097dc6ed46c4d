"""Raw heads to what they mean: sigmoid, softmax and tanh stand here and nowhere else."""

from __future__ import annotations

import numpy as np

from faceaffect.spec import ModelSpec
from faceaffect.types import Affect, FloatArray


def sigmoid(logit: FloatArray) -> FloatArray:
    """Logistic function, safe for any finite or infinite input."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)), np.float32)


def softmax(logit: FloatArray) -> FloatArray:
    """Softmax over the last axis."""
    power = np.exp(logit - logit.max(axis=-1, keepdims=True))
    return np.asarray(power / power.sum(axis=-1, keepdims=True), np.float32)


def decode_affect(au_logit: FloatArray, expression_logit: FloatArray, va_raw: FloatArray, spec: ModelSpec) -> Affect:
    """Affect of N faces from AU logits [N, 12] of the graph layer, expression logits [N, 7] and raw VA [N, 2]."""
    valence_arousal = np.tanh(va_raw)
    return decide(sigmoid(au_logit), softmax(expression_logit), valence_arousal, spec)


def decide(au_probability: FloatArray, expression_probability: FloatArray, va: FloatArray, spec: ModelSpec) -> Affect:
    """Affect with AU decisions by the spec's thresholds: one score per AU, and the decision always follows from it."""
    return Affect(
        au_probability=au_probability,
        au_on=au_probability >= np.asarray(spec.au_thresholds, np.float32),
        expression_probability=expression_probability,
        valence=va[:, 0],
        arousal=va[:, 1],
    )
