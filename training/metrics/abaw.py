"""The three scores of ABAW2 (ICCV 2021). Every statistic is taken once over the pooled frames of
all videos.

    S_AU   = 0.5 mean F1 of the 12 AUs + 0.5 share of right (frame, AU) decisions
    S_EXPR = 0.67 macro-F1 over the 7 classes + 0.33 accuracy
    S_VA   = (CCC of valence + CCC of arousal) / 2

Each score follows from sums over a video's frames: `*_sums` gives them by video [V, K],
`*_figures` turns sums [..., K], added over any videos, into figures [...]. Labels are raw:
frames that the annotators left out carry -1 or -5.
"""

from __future__ import annotations

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

_AUS: Final = len(AU_NAMES)
_CLASSES: Final = len(EXPRESSION_NAMES)

Metrics = dict[str, NDArray[np.float64]]
Videos = NDArray[np.integer]


def labeled_au(label: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Frames [N] that count for the AU task: all twelve labels [N, 12] are there, as the
    challenge's entries have it.

    Raises ValueError for a label other than 0, 1 and -1.
    """
    wrong = ~np.isin(label, (0, 1, AU_UNLABELED))
    if wrong.any():
        raise ValueError(
            f"AU labels must be 0, 1 or {AU_UNLABELED}, got {np.unique(label[wrong])[:5].tolist()}"
        )
    return np.asarray((label != AU_UNLABELED).all(axis=1), np.bool_)


def labeled_expression(label: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Frames [N] with an expression; raises ValueError for a label other than 0 to 6 and -1."""
    wrong = (label < EXPRESSION_UNLABELED) | (label >= _CLASSES)
    if wrong.any():
        got = np.unique(label[wrong])[:5].tolist()
        raise ValueError(
            f"expression labels must be 0 to {_CLASSES - 1} or {EXPRESSION_UNLABELED}, got {got}"
        )
    return np.asarray(label != EXPRESSION_UNLABELED)


def labeled_va(label: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Frames [N] with valence and arousal: -5 in either column [N, 2] drops both.

    Raises ValueError for a label outside [-1, 1] that is not -5.
    """
    missing = label == VA_UNLABELED
    wrong = ~missing & ~(np.abs(label) <= 1)
    if wrong.any():
        got = np.unique(label[wrong])[:5].tolist()
        raise ValueError(f"valence and arousal must lie in [-1, 1] or be {VA_UNLABELED}, got {got}")
    return np.asarray(~missing.any(axis=1), np.bool_)


def au_sums(
    on: NDArray[np.bool_],
    label: NDArray[np.integer],
    video: Videos,
    videos: int,
    *,
    by_column: bool = False,
) -> NDArray[np.float64]:
    """Sums [V, 62] of AU decisions [N, 12]: true positives, called, true, right, labeled by AU;
    exact and whole frames.

    `by_column` lets a frame with some AU unlabeled count for the others; the challenge drops it.
    """
    whole = labeled_au(label)
    known = (label != AU_UNLABELED) if by_column else np.repeat(whole[:, None], _AUS, axis=1)
    truth, called = (label == 1) & known, on & known
    right = (on == (label == 1)) & known
    exact = right.all(axis=1) & whole
    rows = np.concatenate(
        [truth & called, called, truth, right, known, exact[:, None], whole[:, None]], axis=1
    )
    return _by_video(rows, video, videos)


def au_metrics(sums: NDArray[np.float64]) -> Metrics:
    """`score`, `f1_mean`, `accuracy` [...], `f1` [..., 12], and `exact_match`: the share of frames
    with all AUs right.

    F1 is 0 for an AU that is absent on both sides; NaN, and left out of the mean, for one
    without any label.
    """
    hits, called, truth, right, known = np.moveaxis(
        sums[..., : 5 * _AUS].reshape(*sums.shape[:-1], 5, _AUS), -2, 0
    )
    both = called + truth
    f1 = np.where(known > 0, 2 * hits / np.where(both > 0, both, 1), np.nan)
    labeled = (known > 0).sum(axis=-1)
    f1_mean = np.nansum(f1, axis=-1) / np.where(labeled > 0, labeled, np.nan)
    accuracy = right.sum(axis=-1) / _or_nan(known.sum(axis=-1))
    exact_match = sums[..., -2] / _or_nan(sums[..., -1])
    return {
        "score": 0.5 * f1_mean + 0.5 * accuracy,
        "f1_mean": f1_mean,
        "accuracy": accuracy,
        "exact_match": exact_match,
        "f1": f1,
    }


def expression_sums(
    predicted: NDArray[np.integer], label: NDArray[np.integer], video: Videos, videos: int
) -> NDArray[np.float64]:
    """Confusion counts [V, 49] (true, then predicted) of classes [N]."""
    known = labeled_expression(label)
    cell = label[known].astype(np.int64) * _CLASSES + predicted[known]
    place = video[known].astype(np.int64) * _CLASSES**2 + cell
    counts = np.bincount(place, minlength=videos * _CLASSES**2)
    return counts.reshape(videos, _CLASSES**2).astype(np.float64)


def expression_metrics(sums: NDArray[np.float64]) -> Metrics:
    """`score`, `macro_f1`, `accuracy` [...] and `f1` [..., 7]; a class absent on both sides counts
    0, NaN without frames.
    """
    matrix = sums.reshape(*sums.shape[:-1], _CLASSES, _CLASSES)
    f1 = f1_of_confusion(matrix)
    accuracy = np.trace(matrix, axis1=-2, axis2=-1) / _or_nan(matrix.sum(axis=(-2, -1)))
    macro_f1 = f1.mean(axis=-1)
    return {
        "score": 0.67 * macro_f1 + 0.33 * accuracy,
        "macro_f1": macro_f1,
        "accuracy": accuracy,
        "f1": f1,
    }


def va_sums(
    predicted: NDArray[np.floating], label: NDArray[np.floating], video: Videos, videos: int
) -> NDArray[np.float64]:
    """Summed moments [V, 14], valence then arousal, of predictions [N, 2], which are clipped to
    [-1, 1] first.
    """
    known = labeled_va(label)
    check_finite(predicted[known])
    rows = moments(np.clip(predicted[known], -1, 1), label[known]).reshape(-1, 2 * MOMENTS)
    return _by_video(rows, video[known], videos)


def va_metrics(sums: NDArray[np.float64]) -> Metrics:
    """`score` [...], and `ccc`, `pearson`, `rmse`, `sign_agreement` [..., 2] of valence and
    arousal; NaN without frames.
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


def au_score(on: NDArray[np.bool_], label: NDArray[np.integer]) -> Metrics:
    """Metrics of AU decisions [N, 12] against raw labels [N, 12], all frames pooled."""
    return au_metrics(au_sums(on, label, np.zeros(len(on), np.int64), 1)[0])


def expression_score(predicted: NDArray[np.integer], label: NDArray[np.integer]) -> Metrics:
    """Metrics of expression classes [N] against raw labels [N], all frames pooled."""
    return expression_metrics(
        expression_sums(predicted, label, np.zeros(len(label), np.int64), 1)[0]
    )


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
