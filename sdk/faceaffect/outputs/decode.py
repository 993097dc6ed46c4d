"""Decodes the raw heads of the network into scores and `Affect`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.kernels import face_ops
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.outputs.score_smoother import HysteresisThresholds
from faceaffect.types import Affect, BoolArray, FloatArray

_AU_END: Final = len(AU_NAMES)
_VALENCE: Final = _AU_END + len(EXPRESSION_NAMES)
EXPRESSION_COLUMNS: Final = slice(_AU_END, _VALENCE)
VA_COLUMNS: Final = slice(_VALENCE, _VALENCE + 2)
"""Columns of the scores [N, 21]."""


def decode_scores(
    au_logit: FloatArray, expression_logit: FloatArray, va: FloatArray, *, is_raw: bool = True
) -> FloatArray:
    """Compute the scores [N, 21] of N faces.

    Args:
        au_logit: [N, 12], of the graph layer.
        expression_logit: [N, 7].
        va: Valence and arousal [N, 2].
        is_raw: Whether `va` still needs tanh; otherwise it is clipped to -1 .. 1.

    Returns:
        12 AU and 7 expression probabilities, valence, arousal.
    """
    return face_ops.decode_scores(au_logit, expression_logit, va, is_raw)


def decode_affect(
    au_logit: FloatArray, expression_logit: FloatArray, va_raw: FloatArray, spec: ModelSpec
) -> Affect:
    """Affect of N faces, each frame independently, with the thresholds of `spec`."""
    scores = decode_scores(au_logit, expression_logit, va_raw)
    active = apply_thresholds(scores, hysteresis_thresholds(spec.au_thresholds))
    return to_affect(scores, active, intensity_knots(spec.au_intensity))


def apply_thresholds(scores: FloatArray, thresholds: HysteresisThresholds) -> BoolArray:
    """AU decisions [N, 12] of scores [N, 21], each frame independently."""
    return np.asarray(scores[:, :_AU_END] >= thresholds.threshold)


def to_affect(scores: FloatArray, au_active: BoolArray, knots: FloatArray | None = None) -> Affect:
    """Affect whose values are views of `scores` [N, 21].

    Args:
        scores: Of `decode_scores`.
        au_active: Decisions [N, 12].
        knots: Of `intensity_knots`; None leaves intensities unknown.
    """
    return Affect(
        au_probability=scores[:, :_AU_END],
        au_active=au_active,
        expression_probability=scores[:, _AU_END:_VALENCE],
        valence=scores[:, _VALENCE],
        arousal=scores[:, _VALENCE + 1],
        **({} if knots is None else {"au_intensity": to_intensity(scores[:, :_AU_END], knots)}),
    )


def to_intensity(probability: FloatArray, knots: FloatArray) -> FloatArray:
    """Intensities [N, 12] of probabilities [N, 12]: 0 to 5, linear between `knots` [12, 6]."""
    low, high = knots[:, :-1], knots[:, 1:]
    steps = (probability[:, :, None] - low) / (high - low)
    return np.asarray(np.clip(steps, 0, 1).sum(axis=2))


@lru_cache(maxsize=8)
def intensity_knots(units: tuple[tuple[float, ...], ...] | None) -> FloatArray | None:
    """Cached `ModelSpec.au_intensity` as an array [12, 6]."""
    return None if units is None else np.asarray(units, np.float32)


@lru_cache(maxsize=8)
def hysteresis_thresholds(thresholds: tuple[float, ...]) -> HysteresisThresholds:
    """Cached `HysteresisThresholds.from_thresholds`."""
    return HysteresisThresholds.from_thresholds(thresholds)
