"""Calibration: decision thresholds, Platt scaling of AU logits, temperature scaling of expressions.

All three are fitted on validation data and have no run-time cost. Fit on the raw logits, fold the
result into the network with `fold_into_head`, then choose thresholds on the calibrated
probabilities for the spec of the bundle.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.metrics import best_threshold

if TYPE_CHECKING:
    from training.models.affect_net import AffectNet

DEFAULT_THRESHOLD: Final = 0.5
LEAST_POSITIVES: Final = 12
MIN_SCALE: Final = 0.05
TEMPERATURE_BOUNDS: Final = (0.05, 20.0)
_GRID_STEP: Final = 0.005
_MAX_PENALTY: Final = 100.0  # F1 of one AU per false alarm per neutral face
_PENALTY_STEP: Final = 0.02  # relative above 1

Logits = NDArray[np.floating]
Flags = NDArray[np.bool_]


def choose_thresholds(
    probability: NDArray[np.floating],
    truth: Flags,
    known: Flags | None = None,
) -> tuple[float, ...]:
    """Returns the threshold of each AU with the best F1, from 0.05 to 0.95.

    An AU with fewer than 12 positives or negatives keeps 0.5: too few to choose.

    Args:
        probability: Probabilities [N, 12].
        truth: Labels [N, 12].
        known: Labeled cells [N, 12]; all if None.
    """
    _check(probability, truth, known, len(AU_NAMES))
    thresholds = []
    for k in range(len(AU_NAMES)):
        rows = slice(None) if known is None else known[:, k]
        on = truth[rows, k]
        if min(on.sum(), (~on).sum()) < LEAST_POSITIVES:
            thresholds.append(DEFAULT_THRESHOLD)
        else:
            thresholds.append(best_threshold(probability[rows, k], on, 0.05, 0.95))
    return tuple(thresholds)


def choose_low_false_alarm_thresholds(
    probability: NDArray[np.floating],
    truth: Flags,
    neutral: Sequence[NDArray[np.floating]],
    known: Flags | None = None,
    *,
    alarms: Sequence[float],
    least: float = 0.05,
    most: float = 0.95,
    slack: float = 0.0,
) -> tuple[float, ...]:
    """Returns thresholds [12] of the best mean F1 with limited false alarms on neutral faces.

    Each source of neutral faces has its own limit. While one exceeds it, false alarms on the source
    that exceeds its limit most cost more, equally for all AUs (Everett 1963, generalized Lagrange
    multipliers), so thresholds rise where F1 suffers least. Thresholds have steps of 0.005 and are
    `most` if nothing satisfies the limits. An AU with few positives keeps 0.5, as in
    `choose_thresholds`, and its alarms count.

    Args:
        probability: Probabilities [N, 12].
        truth: Labels [N, 12].
        neutral: Probabilities [M, 12] of the neutral faces of each source.
        known: Labeled cells [N, 12]; all if None.
        alarms: Largest mean number of active AUs per neutral face of each source.
        least: Lower bound of the thresholds.
        most: Upper bound of the thresholds.
        slack: Choose the lowest threshold whose penalized F1 is at most this much below the best.
    """
    _check(probability, truth, known, len(AU_NAMES))
    if len(neutral) != len(alarms):
        raise ValueError(f"expected a limit for each of {len(neutral)} sources, got {len(alarms)}")
    grid = np.round(np.arange(least, most + 1e-9, _GRID_STEP), 4)
    score, alarm_rate = _f1_and_alarms(probability, truth, known, neutral, grid)

    def choose(penalty: NDArray[np.float64]) -> NDArray[np.int64]:
        penalized = score - np.tensordot(penalty, alarm_rate, 1)
        best = penalized.max(axis=1, keepdims=True)
        return np.asarray((penalized >= best - max(slack, 1e-12)).argmax(axis=1))

    def excess(index: NDArray[np.int64]) -> NDArray[np.float64]:
        chosen = np.take_along_axis(alarm_rate, index[None, :, None], axis=2)
        return np.asarray(chosen.sum(axis=(1, 2)) - np.asarray(alarms))

    penalty = np.zeros(len(neutral))
    while (over := excess(choose(penalty))).max(initial=0) > 0 and penalty.max() < _MAX_PENALTY:
        penalty[over.argmax()] += max(_PENALTY_STEP, _PENALTY_STEP * penalty[over.argmax()])
    return tuple(float(grid[index]) for index in choose(penalty))


def _f1_and_alarms(
    probability: NDArray[np.floating],
    truth: Flags,
    known: Flags | None,
    neutral: Sequence[NDArray[np.floating]],
    grid: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns F1 [12, T] and the alarm rates of the sources [S, 12, T] at thresholds [T]."""
    score = np.zeros((len(AU_NAMES), len(grid)))
    alarm_rate = np.zeros((len(neutral), *score.shape))
    for k in range(len(AU_NAMES)):
        rows = slice(None) if known is None else known[:, k]
        on = truth[rows, k]
        is_fixed = min(on.sum(), (~on).sum()) < LEAST_POSITIVES
        steps = np.full_like(grid, DEFAULT_THRESHOLD) if is_fixed else grid
        for source, values in enumerate(neutral):
            alarm_rate[source, k] = _fraction_from(values[:, k], steps)
        if is_fixed:
            score[k, np.abs(grid - DEFAULT_THRESHOLD) > _GRID_STEP / 2] = -np.inf
            continue
        hits = _fraction_from(probability[rows, k][on], grid) * on.sum()
        score[k] = 2 * hits / (_fraction_from(probability[rows, k], grid) * len(on) + on.sum())
    return score, alarm_rate


def _fraction_from(
    values: NDArray[np.floating], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the fraction [T] of `values` [N] at or above each threshold [T]; 0 without values."""
    ordered = np.sort(values.astype(np.float64))
    return (len(ordered) - np.searchsorted(ordered, thresholds, side="left")) / max(1, len(ordered))


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """Calibrated probability of AU k: sigmoid(scale[k] * logit + offset[k])."""

    scale: NDArray[np.float64]  # [12], positive, so that the ranking is preserved
    offset: NDArray[np.float64]  # [12]
    notes: tuple[str, ...] = ()  # AUs that could not be fitted, and why

    def apply(self, logit: Logits) -> Logits:
        """Returns calibrated logits [N, 12]."""
        return np.asarray(logit * self.scale + self.offset, logit.dtype)


def fit_platt(logit: Logits, truth: Flags, known: Flags | None = None) -> PlattScaling:
    """Fits scale and offset of each AU by maximum likelihood (Platt 1999).

    Platt's softened targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), keep the fit finite if an AU is
    separable. An AU with labels of one class or none is unchanged; one whose logits do not increase
    with the truth (scale below 0.05) gets an offset only. Both are noted.

    Args:
        logit: Logits [N, 12].
        truth: Labels [N, 12].
        known: Labeled cells [N, 12]; all if None.
    """
    _check(logit, truth, known, len(AU_NAMES))
    scale = np.ones(len(AU_NAMES))
    offset = np.zeros(len(AU_NAMES))
    notes = []
    for k, name in enumerate(AU_NAMES):
        rows = slice(None) if known is None else known[:, k]
        z = logit[rows, k].astype(np.float64)
        on = truth[rows, k]
        if on.all() or not on.any():
            notes.append(
                f"{name}: not calibrated, its {len(on)} labeled faces are all of one class"
            )
            continue
        target = np.where(on, (on.sum() + 1) / (on.sum() + 2), 1 / ((~on).sum() + 2))
        columns = np.stack([z, np.ones_like(z)], axis=1)
        scale[k], offset[k] = _logistic(columns, target)
        if scale[k] < MIN_SCALE:
            notes.append(
                f"{name}: its logits do not increase with the truth (scale {scale[k]:.3g}), "
                "only the offset is fitted"
            )
            scale[k] = 1.0
            offset[k] = _logistic(columns[:, 1:], target, base=z)[0]
    return PlattScaling(scale, offset, tuple(notes))


def fit_temperature(logit: Logits, truth: NDArray[np.integer]) -> float:
    """Fits the temperature T of softmax(logit / T) by maximum likelihood (Guo et al. 2017).

    T is limited to 0.05..20, and 1 without labels.

    Args:
        logit: Logits [N, C].
        truth: Classes [N]; negative ones are unlabeled.
    """
    z = logit[truth >= 0].astype(np.float64)
    true_logit = np.take_along_axis(z, truth[truth >= 0, None].astype(np.int64), axis=1)[:, 0]
    if not len(z):
        return 1.0
    if not np.isfinite(z).all():
        raise ValueError("expected finite logits, got NaN or infinity")

    def slope(sharpness: float) -> float:
        """Derivative of the mean negative log-likelihood by 1 / T; increasing (convexity)."""
        power = np.exp(sharpness * (z - z.max(axis=1, keepdims=True)))
        mean = (power * z).sum(axis=1) / power.sum(axis=1)
        return float((mean - true_logit).mean())

    low, high = 1 / TEMPERATURE_BOUNDS[1], 1 / TEMPERATURE_BOUNDS[0]
    if slope(low) >= 0:
        return TEMPERATURE_BOUNDS[1]
    if slope(high) <= 0:
        return TEMPERATURE_BOUNDS[0]
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(1 / (low * high) ** 0.5)


def fold_into_head(
    net: AffectNet, platt: PlattScaling | None = None, temperature: float = 1.0
) -> AffectNet:
    """Returns a copy of the network with calibrated logits and no run-time overhead.

    - AU: in the readout of the graph, logit_k = H[k] . R[k] + c[k], R[k] becomes R[k] * scale_k and
      c[k] becomes c[k] * scale_k + offset_k.
    - Expression: weight and bias of its layer are divided by the temperature.
    - Valence and arousal take the expression logits as input, so these columns are multiplied by
      the temperature: their outputs do not change.

    The top expression does not change.
    """
    import torch

    low, high = TEMPERATURE_BOUNDS
    if not low <= temperature <= high:
        raise ValueError(f"expected temperature between {low} and {high}, got {temperature}")
    folded = copy.deepcopy(net)
    with torch.no_grad():
        if platt is not None:
            readout, bias = folded.au_graph.readout_weight, folded.au_graph.readout_bias
            scale = torch.as_tensor(platt.scale, dtype=readout.dtype, device=readout.device)
            readout.mul_(scale[:, None])
            bias.mul_(scale).add_(
                torch.as_tensor(platt.offset, dtype=bias.dtype, device=bias.device)
            )
        folded.affect.expression.weight.div_(temperature)
        folded.affect.expression.bias.div_(temperature)
        folded.affect.va.weight[:, -len(EXPRESSION_NAMES) :].mul_(temperature)
    return folded


def _logistic(
    columns: NDArray[np.float64],
    target: NDArray[np.float64],
    base: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Fits the logistic model sigmoid(base + columns . w) to soft targets [N] by Newton's method.

    Steps are halved until the loss decreases (Lin, Lin & Weng 2007). Returns weights [D].
    """
    weights = np.zeros(columns.shape[1])
    # Normalization keeps the problem well-conditioned for logits of any magnitude.
    unit = np.maximum(np.sqrt((columns**2).mean(axis=0)), 1e-12)
    scaled = columns / unit

    def loss(w: NDArray[np.float64]) -> float:
        z = base + scaled @ w
        return float((np.logaddexp(0, z) - target * z).mean())

    current = loss(weights)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(base + scaled @ weights, -700, 700)))
        gradient = scaled.T @ (p - target) / len(target)
        if np.abs(gradient).max() < 1e-10:
            break
        hessian = (scaled * (p * (1 - p))[:, None]).T @ scaled / len(target) + 1e-12 * np.eye(
            len(weights)
        )
        step = np.linalg.solve(hessian, gradient)
        step_size = 1.0
        while step_size > 1e-10 and loss(weights - step_size * step) > current:
            step_size /= 2
        weights = weights - step_size * step
        current = loss(weights)
    return np.asarray(weights / unit)


def _check(score: NDArray[np.floating], truth: Flags, known: Flags | None, columns: int) -> None:
    """Raises ValueError unless all have shape [N, columns] and known scores are finite."""
    for name, array in (
        ("scores", score),
        ("truth", truth),
        ("known", truth if known is None else known),
    ):
        if array.ndim != 2 or array.shape != (len(score), columns):
            raise ValueError(f"expected {name} of shape [N, {columns}], got {array.shape}")
    if truth.dtype != np.bool_:
        raise ValueError(
            f"expected boolean truth (mark unlabeled cells in `known`), got {truth.dtype}"
        )
    if not np.isfinite(score if known is None else score[known]).all():
        raise ValueError("expected finite scores where known, got NaN or infinity")
