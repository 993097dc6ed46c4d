"""The scores of the ABAW challenges (Kollias & Zafeiriou, ICCV Workshops 2021 and later).

Every statistic is computed once over the pooled frames of all videos:

            ABAW2                                                        ABAW3 and later
    S_AU    0.5 mean F1 of 12 AUs + 0.5 accuracy of all (frame, AU)      mean F1 of 12 AUs
    S_EXPR  0.67 macro-F1 of 7 classes + 0.33 accuracy                   macro-F1 of 8 classes
    S_VA    (CCC of valence + CCC of arousal) / 2                        the same

The score of multi-task challenges is the sum of the three of ABAW3.

Each score is a function of sums over frames: `*_sums` returns them per video [V, K], `*_metrics`
turns sums [..., K], added over any set of videos, into metrics [...]. Labels are raw: frames that
were not annotated are -1 or -5.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.metrics.checks import check_finite
from training.metrics.classes import f1_of_confusion
from training.metrics.continuous import (
    MOMENTS,
    ccc_of_moments,
    moments,
    pearson_of_moments,
    rmse_of_moments,
    sign_agreement_of_moments,
)

AU_UNLABELED: Final = -1
EXPRESSION_UNLABELED: Final = -1
VA_UNLABELED: Final = -5

ABAW2: Final = "abaw2"
ABAW3: Final = "abaw3"  # and later
RULES: Final = (ABAW2, ABAW3)
CHALLENGE_EXPRESSIONS: Final = (*EXPRESSION_NAMES, "other")
"""The eight classes of ABAW3 and later."""

_AUS: Final = len(AU_NAMES)
_CLASSES: Final = len(EXPRESSION_NAMES)

Metrics = dict[str, NDArray[np.float64]]
Videos = NDArray[np.integer]


def labeled_au(label: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Frames [N] with all twelve AU labels [N, 12]; the challenge evaluates no others.

    Raises ValueError for a label other than 0, 1 and -1.
    """
    wrong = ~np.isin(label, (0, 1, AU_UNLABELED))
    if wrong.any():
        raise ValueError(
            f"expected AU labels 0, 1 or {AU_UNLABELED}, got {np.unique(label[wrong])[:5].tolist()}"
        )
    return np.asarray((label != AU_UNLABELED).all(axis=1), np.bool_)


def labeled_expression(label: NDArray[np.integer], classes: int = _CLASSES) -> NDArray[np.bool_]:
    """Frames [N] with an expression; ValueError for a label that is neither a class nor -1."""
    wrong = (label < EXPRESSION_UNLABELED) | (label >= classes)
    if wrong.any():
        got = np.unique(label[wrong])[:5].tolist()
        raise ValueError(
            f"expected expression labels 0 to {classes - 1} or {EXPRESSION_UNLABELED}, got {got}"
        )
    return np.asarray(label != EXPRESSION_UNLABELED)


def labeled_va(label: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Frames [N] with valence and arousal labels: -5 in either column [N, 2] drops both.

    Raises ValueError for a label outside [-1, 1] that is not -5.
    """
    missing = label == VA_UNLABELED
    wrong = ~missing & ~(np.abs(label) <= 1)
    if wrong.any():
        got = np.unique(label[wrong])[:5].tolist()
        raise ValueError(f"expected valence and arousal in [-1, 1] or {VA_UNLABELED}, got {got}")
    return np.asarray(~missing.any(axis=1), np.bool_)


def au_sums(
    on: NDArray[np.bool_],
    label: NDArray[np.integer],
    video: Videos,
    videos: int,
    *,
    by_column: bool = False,
) -> NDArray[np.float64]:
    """Sums [V, 62] of AU decisions [N, 12] over the frames of each video.

    Twelve columns each of true positives, predicted positives, positives, correct decisions and
    labels; then exactly matched and fully labeled frames. With `by_column`, a frame that lacks
    some AU labels counts for the others; the challenge drops such frames.
    """
    is_complete = labeled_au(label)
    known = (label != AU_UNLABELED) if by_column else np.repeat(is_complete[:, None], _AUS, axis=1)
    truth = (label == 1) & known
    predicted = on & known
    correct = (on == (label == 1)) & known
    exact = correct.all(axis=1) & is_complete
    rows = np.concatenate(
        [truth & predicted, predicted, truth, correct, known, exact[:, None], is_complete[:, None]],
        axis=1,
    )
    return _by_video(rows, video, videos)


def au_metrics(sums: NDArray[np.float64], rules: str = ABAW2) -> Metrics:
    """`score`, `f1_mean`, `accuracy`, `exact_match` [...] and `f1` [..., 12] of `au_sums`.

    `exact_match` is the fraction of frames with all AUs correct. F1 is 0 for an AU that is
    neither present nor predicted, and NaN, excluded from the mean, for one without any label.
    """
    hits, predicted, truth, correct, known = np.moveaxis(
        sums[..., : 5 * _AUS].reshape(*sums.shape[:-1], 5, _AUS), -2, 0
    )
    total = predicted + truth
    f1 = np.where(known > 0, 2 * hits / np.where(total > 0, total, 1), np.nan)
    labeled = (known > 0).sum(axis=-1)
    f1_mean = np.nansum(f1, axis=-1) / np.where(labeled > 0, labeled, np.nan)
    accuracy = correct.sum(axis=-1) / _or_nan(known.sum(axis=-1))
    exact_match = sums[..., -2] / _or_nan(sums[..., -1])
    return {
        "score": f1_mean if rules == ABAW3 else 0.5 * f1_mean + 0.5 * accuracy,
        "f1_mean": f1_mean,
        "accuracy": accuracy,
        "exact_match": exact_match,
        "f1": f1,
    }


def expression_sums(
    predicted: NDArray[np.integer],
    label: NDArray[np.integer],
    video: Videos,
    videos: int,
    *,
    classes: int = _CLASSES,
) -> NDArray[np.float64]:
    """Confusion matrices [V, C * C] (row: true class, column: predicted class) of classes [N]."""
    known = labeled_expression(label, classes)
    cell = label[known].astype(np.int64) * classes + predicted[known]
    index = video[known].astype(np.int64) * classes**2 + cell
    counts = np.bincount(index, minlength=videos * classes**2)
    return counts.reshape(videos, classes**2).astype(np.float64)


def expression_metrics(sums: NDArray[np.float64], rules: str = ABAW2) -> Metrics:
    """`score`, `macro_f1`, `accuracy` [...] and `f1` [..., C] of `expression_sums`.

    F1 is 0 for a class that is neither present nor predicted; all are NaN without frames.
    """
    classes = math.isqrt(sums.shape[-1])
    matrix = sums.reshape(*sums.shape[:-1], classes, classes)
    f1 = f1_of_confusion(matrix)
    accuracy = np.trace(matrix, axis1=-2, axis2=-1) / _or_nan(matrix.sum(axis=(-2, -1)))
    macro_f1 = f1.mean(axis=-1)
    return {
        "score": macro_f1 if rules == ABAW3 else 0.67 * macro_f1 + 0.33 * accuracy,
        "macro_f1": macro_f1,
        "accuracy": accuracy,
        "f1": f1,
    }


def va_sums(
    predicted: NDArray[np.floating], label: NDArray[np.floating], video: Videos, videos: int
) -> NDArray[np.float64]:
    """Summed moments [V, 14], valence then arousal, of predictions [N, 2] clipped to [-1, 1]."""
    known = labeled_va(label)
    check_finite(predicted[known])
    rows = moments(np.clip(predicted[known], -1, 1), label[known]).reshape(-1, 2 * MOMENTS)
    return _by_video(rows, video[known], videos)


def va_metrics(sums: NDArray[np.float64]) -> Metrics:
    """`score` [...] and `ccc`, `pearson`, `rmse`, `sign_agreement` [..., 2] of `va_sums`.

    The last axis is valence, arousal. All are NaN without frames.
    """
    pairs = sums.reshape(*sums.shape[:-1], 2, MOMENTS)
    ccc = ccc_of_moments(pairs)
    return {
        "score": ccc.mean(axis=-1),
        "ccc": ccc,
        "pearson": pearson_of_moments(pairs),
        "rmse": rmse_of_moments(pairs),
        "sign_agreement": sign_agreement_of_moments(pairs),
    }


def au_score(on: NDArray[np.bool_], label: NDArray[np.integer], rules: str = ABAW2) -> Metrics:
    """Metrics of AU decisions [N, 12] against raw labels [N, 12], all frames pooled."""
    return au_metrics(au_sums(on, label, np.zeros(len(on), np.int64), 1)[0], rules)


def expression_score(
    predicted: NDArray[np.integer], label: NDArray[np.integer], rules: str = ABAW2
) -> Metrics:
    """Metrics of expression classes [N] against raw labels [N], all frames pooled."""
    video = np.zeros(len(label), np.int64)
    sums = expression_sums(predicted, label, video, 1, classes=class_count(rules))
    return expression_metrics(sums[0], rules)


def class_count(rules: str) -> int:
    """Number of expressions: seven of ABAW2, eight later."""
    return len(CHALLENGE_EXPRESSIONS) if rules == ABAW3 else _CLASSES


def va_score(predicted: NDArray[np.floating], label: NDArray[np.floating]) -> Metrics:
    """Metrics of valence and arousal [N, 2] against raw labels [N, 2], all frames pooled."""
    return va_metrics(va_sums(predicted, label, np.zeros(len(label), np.int64), 1)[0])


def _by_video(rows: NDArray[np.generic], video: Videos, videos: int) -> NDArray[np.float64]:
    """Column sums [V, K] of rows [N, K]."""
    columns = [
        np.bincount(video, weights=column, minlength=videos) for column in rows.T.astype(np.float64)
    ]
    return np.stack(columns, axis=1)


def _or_nan(count: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(count > 0, count, np.nan)
