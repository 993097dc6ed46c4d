"""Raw heads to what they mean: sigmoid, softmax and tanh stand here and nowhere else."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.spec import ModelSpec
from faceaffect.types import Affect, BoolArray, FloatArray

HOLD_MARGIN: Final = 0.04
"""How far past its threshold a smoothed AU score must go before a decision that was made is changed."""


def sigmoid(logit: FloatArray) -> FloatArray:
    """Logistic function, safe for any finite or infinite input."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)), np.float32)


def softmax(logit: FloatArray) -> FloatArray:
    """Softmax over the last axis."""
    # The ufuncs' own reductions: the methods of the same name spend most of their time in Python.
    power = np.exp(logit - np.maximum.reduce(logit, axis=-1, keepdims=True))
    return np.asarray(power / np.add.reduce(power, axis=-1, keepdims=True), np.float32)


def decode_affect(au_logit: FloatArray, expression_logit: FloatArray, va_raw: FloatArray, spec: ModelSpec) -> Affect:
    """Affect of N faces from AU logits [N, 12] of the graph layer, expression logits [N, 7] and raw VA [N, 2]."""
    valence_arousal = np.tanh(va_raw)
    return decide(sigmoid(au_logit), softmax(expression_logit), valence_arousal, spec)


def decode_clipped(au_logit: FloatArray, expression_logit: FloatArray, va: FloatArray, spec: ModelSpec) -> Affect:
    """Affect of a model of stages, whose valence and arousal [N, 2] come as they are; NaN where it has no such head."""
    return decide(sigmoid(au_logit), softmax(expression_logit), np.clip(va, -1, 1), spec)


@lru_cache(maxsize=8)
def _limits(thresholds: tuple[float, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where an AU that is on goes off, its threshold, and where one that is off comes on, [12] each."""
    threshold = np.asarray(thresholds, np.float32)
    margin = np.minimum(HOLD_MARGIN, 0.5 * np.minimum(threshold, 1 - threshold))
    return threshold - margin, threshold, threshold + margin


def hold(au_probability: FloatArray, was_on: BoolArray, spec: ModelSpec) -> BoolArray:
    """AU decisions [12] of one face that keep to the frame before: a score that hovers about its threshold flips nothing.

    An AU that was off comes on above threshold + `HOLD_MARGIN`, one that was on goes off below threshold - `HOLD_MARGIN`;
    the margin never takes more than half of the way to 0 or 1, so that every AU can change.
    """
    goes_off, _, comes_on = _limits(spec.au_thresholds)
    return np.asarray(au_probability >= np.where(was_on, goes_off, comes_on))


def decide(au_probability: FloatArray, expression_probability: FloatArray, va: FloatArray, spec: ModelSpec) -> Affect:
    """Affect with AU decisions by the spec's thresholds, of scores [N, 12], [N, 7] and valence, arousal [N, 2].

    One score per AU, and the decision follows from it alone; where scores are smoothed over time, `hold` then keeps one
    that was made until its score is clearly past the threshold.
    """
    return Affect(
        au_probability=au_probability,
        au_on=au_probability >= _limits(spec.au_thresholds)[1],
        expression_probability=expression_probability,
        valence=va[:, 0],
        arousal=va[:, 1],
    )
