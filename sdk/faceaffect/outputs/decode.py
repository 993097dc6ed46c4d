"""Raw heads to what they mean: sigmoid, softmax and tanh stand here and nowhere else."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.kernels.native import native
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.outputs.score_smoother import HysteresisThresholds
from faceaffect.types import Affect, BoolArray, FloatArray

_AU_END: Final = len(AU_NAMES)
_VALENCE: Final = _AU_END + len(EXPRESSION_NAMES)


def sigmoid(logit: FloatArray) -> FloatArray:
    """Logistic function, safe for any finite or infinite input."""
    if native is not None and logit.ndim == 1:
        score: FloatArray = native.logistic(logit)
        return score
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)), np.float32)


def softmax(logit: FloatArray) -> FloatArray:
    """Softmax over the last axis."""
    # The ufuncs' own reductions: the methods of the same name spend most of their time in Python.
    power = np.exp(logit - np.maximum.reduce(logit, axis=-1, keepdims=True))
    return np.asarray(power / np.add.reduce(power, axis=-1, keepdims=True), np.float32)


def decode_scores(
    au_logit: FloatArray, expression_logit: FloatArray, va: FloatArray, *, is_raw: bool = True
) -> FloatArray:
    """Scores [N, 21] of N faces: 12 AU and 7 expression probabilities, valence, arousal.

    From AU logits [N, 12] of the graph layer, expression logits [N, 7] and valence and arousal
    [N, 2], raw or (not `is_raw`) as they are, then clipped to -1 .. 1.
    """
    if native is not None:
        scores: FloatArray = native.decode_scores(au_logit, expression_logit, va, is_raw)
        return scores
    values = np.tanh(va) if is_raw else np.clip(va, -1, 1)
    return np.concatenate(
        [sigmoid(au_logit), softmax(expression_logit), values], axis=1, dtype=np.float32
    )


def decode_affect(
    au_logit: FloatArray, expression_logit: FloatArray, va_raw: FloatArray, spec: ModelSpec
) -> Affect:
    """Affect of N faces, each frame by itself: scores as of `decode_scores`, decisions by the
    spec's thresholds.
    """
    scores = decode_scores(au_logit, expression_logit, va_raw)
    return to_affect(scores, apply_thresholds(scores, hysteresis_thresholds(spec.au_thresholds)))


def apply_thresholds(scores: FloatArray, limits: HysteresisThresholds) -> BoolArray:
    """AU decisions [N, 12] of scores [N, 21], each frame by itself."""
    return np.asarray(scores[:, :_AU_END] >= limits.threshold)


def to_affect(scores: FloatArray, au_active: BoolArray) -> Affect:
    """Affect whose values are views of `scores` [N, 21], with decisions `au_active` [N, 12]."""
    return Affect(
        au_probability=scores[:, :_AU_END],
        au_active=au_active,
        expression_probability=scores[:, _AU_END:_VALENCE],
        valence=scores[:, _VALENCE],
        arousal=scores[:, _VALENCE + 1],
    )


@lru_cache(maxsize=8)
def hysteresis_thresholds(thresholds: tuple[float, ...]) -> HysteresisThresholds:
    """The limits of a spec's thresholds, worked out once."""
    return HysteresisThresholds.of(thresholds)
