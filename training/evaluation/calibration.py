"""Scores that mean what they say: thresholds, Platt scaling of AU logits, a temperature for
expression; folded into weights.

All three are chosen on validation data and cost nothing at run time. The order that fits: fit on
the raw logits, fold the result into the network with `fold_into_head`, then choose thresholds on
the calibrated probabilities (or move earlier ones with `fold_thresholds`) for the bundle's spec.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.metrics import best_threshold

if TYPE_CHECKING:
    from training.models.affect_net import AffectNet

DEFAULT_THRESHOLD: Final = 0.5
LEAST_SCALE: Final = 0.05
TEMPERATURE_BOUNDS: Final = (0.05, 20.0)
_GRID_STEP: Final = 0.005
_HIGHEST_PRICE: Final = 100.0  # of an alarm a neutral face, in F1 of one AU: nothing is worth it

Logits = NDArray[np.floating]
Flags = NDArray[np.bool_]


def choose_thresholds(
    probability: NDArray[np.floating],
    truth: Flags,
    known: Flags | None = None,
    *,
    least: float = 0.05,
    most: float = 0.95,
    least_positives: int = 12,
    slack: float = 0.0,
) -> tuple[float, ...]:
    """The best-F1 threshold of each AU out of probabilities and truth [N, 12]; `known` [N, 12]
    marks labeled cells.

    With `slack`, the lowest threshold whose F1 is at most that much below the best. 0.5 for an
    AU with fewer than `least_positives` faces that show it, or that do not: chance would choose
    there.
    """
    _check(probability, truth, known, len(AU_NAMES))
    thresholds = []
    for k in range(len(AU_NAMES)):
        rows = slice(None) if known is None else known[:, k]
        on = truth[rows, k]
        if min(on.sum(), (~on).sum()) < least_positives:
            thresholds.append(DEFAULT_THRESHOLD)
        else:
            thresholds.append(best_threshold(probability[rows, k], on, least, most, slack))
    return tuple(thresholds)


def choose_low_false_alarm_thresholds(
    probability: NDArray[np.floating],
    truth: Flags,
    neutral: NDArray[np.floating],
    known: Flags | None = None,
    *,
    alarms: float,
    least: float = 0.05,
    most: float = 0.95,
    least_positives: int = 12,
    slack: float = 0.0,
) -> tuple[float, ...]:
    """Thresholds [12] of the best mean F1 among those that call at most `alarms` AUs on a neutral
    face, on average.

    Out of probabilities and truth [N, 12], of which `known` [N, 12] marks labeled cells, and
    probabilities `neutral` [M, 12]. Where F1 alone would call more, every AU pays the same price
    in F1 for an alarm, the least that suffices (Everett 1963, generalized Lagrange multipliers):
    thresholds rise where that costs least. With `slack`, each AU takes the lowest threshold
    whose F1 less the price of its alarms is at most that much below its best. In steps of 0.005;
    where even `most` calls too many it is `most`. An AU with few positives keeps 0.5, as in
    `choose_thresholds`, and its alarms count.
    """
    _check(probability, truth, known, len(AU_NAMES))
    grid = np.round(np.arange(least, most + 1e-9, _GRID_STEP), 4)
    score = np.zeros((len(AU_NAMES), len(grid)))
    called = np.zeros_like(score)
    for k in range(len(AU_NAMES)):
        rows = slice(None) if known is None else known[:, k]
        on = truth[rows, k]
        called[k] = _share_from(neutral[:, k], grid)
        if min(on.sum(), (~on).sum()) < least_positives:
            called[k] = _share_from(neutral[:, k], np.array([DEFAULT_THRESHOLD]))
            score[k, np.abs(grid - DEFAULT_THRESHOLD) > _GRID_STEP / 2] = -np.inf
            continue
        hits = _share_from(probability[rows, k][on], grid) * on.sum()
        score[k] = 2 * hits / (_share_from(probability[rows, k], grid) * len(on) + on.sum())

    def chosen(price: float) -> NDArray[np.int64]:
        worth = score - price * called
        return np.asarray(
            (worth >= worth.max(axis=1, keepdims=True) - max(slack, 1e-12)).argmax(axis=1)
        )

    def loudness(places: NDArray[np.int64]) -> float:
        return float(np.take_along_axis(called, places[:, None], axis=1).sum())

    low, high = 0.0, _HIGHEST_PRICE
    if loudness(chosen(low)) <= alarms:
        high = low
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if loudness(chosen(middle)) <= alarms else (middle, high)
    return tuple(float(grid[place]) for place in chosen(high))


def _share_from(
    values: NDArray[np.floating], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share [T] of `values` [N] that is not below each of the thresholds [T]; 0 of no values."""
    ordered = np.sort(values.astype(np.float64))
    return (len(ordered) - np.searchsorted(ordered, thresholds, side="left")) / max(1, len(ordered))


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """Calibrated probability of AU k: sigmoid(scale[k] * logit + offset[k])."""

    scale: NDArray[np.float64]  # [12], above 0: it never turns an order round
    offset: NDArray[np.float64]  # [12]
    notes: tuple[str, ...] = ()  # which AUs could not be fitted as asked, and why

    def apply(self, logit: Logits) -> Logits:
        """Calibrated logits [N, 12]."""
        return np.asarray(logit * self.scale + self.offset, logit.dtype)


def fit_platt(
    logit: Logits, truth: Flags, known: Flags | None = None, *, with_offset: bool = True
) -> PlattScaling:
    """Scale and offset of each AU by maximum likelihood over logits and truth [N, 12] (Platt 1999).

    Platt's softened targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), keep the fit finite where an
    AU is told without error. `with_offset=False` fits a temperature per AU (offset 0). An AU of
    one class, or without labels, is left as it is; one whose logits do not rise with the truth
    (scale below 0.05) gets an offset only. Both are noted.
    """
    _check(logit, truth, known, len(AU_NAMES))
    scale, offset, notes = np.ones(len(AU_NAMES)), np.zeros(len(AU_NAMES)), []
    for k, name in enumerate(AU_NAMES):
        rows = slice(None) if known is None else known[:, k]
        z, on = logit[rows, k].astype(np.float64), truth[rows, k]
        if on.all() or not on.any():
            notes.append(
                f"{name}: not calibrated, its {len(on)} labeled faces are all of one class"
            )
            continue
        target = np.where(on, (on.sum() + 1) / (on.sum() + 2), 1 / ((~on).sum() + 2))
        columns = np.stack([z, np.ones_like(z)], axis=1)
        if with_offset:
            scale[k], offset[k] = _logistic(columns, target)
        else:
            scale[k] = _logistic(columns[:, :1], target)[0]
        if scale[k] < LEAST_SCALE:
            notes.append(
                f"{name}: its logits do not rise with the truth (scale {scale[k]:.3g}), only their mean was moved"
            )
            scale[k] = 1.0
            offset[k] = _logistic(columns[:, 1:], target, base=z)[0] if with_offset else 0.0
    return PlattScaling(scale, offset, tuple(notes))


def fit_temperature(logit: Logits, truth: NDArray[np.integer]) -> float:
    """T that makes softmax(logit / T) of [N, C] most likely for classes [N]; kept within 0.05 and
    20 (Guo et al. 2017).

    Classes below 0 are unlabeled rows; 1 where no row is labeled.
    """
    z = logit[truth >= 0].astype(np.float64)
    true_logit = np.take_along_axis(z, truth[truth >= 0, None].astype(np.int64), axis=1)[:, 0]
    if not len(z):
        return 1.0
    if not np.isfinite(z).all():
        raise ValueError("logits must be finite, some are NaN or infinite")

    def slope(sharpness: float) -> float:
        """Derivative of the mean negative log-likelihood by 1 / T; it rises, for the likelihood is
        concave in 1 / T.
        """
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


def fold_thresholds(thresholds: tuple[float, ...], platt: PlattScaling) -> tuple[float, ...]:
    """Thresholds [12] on calibrated probabilities that decide as `thresholds` did on those before."""
    t = np.asarray(thresholds, np.float64)
    moved = platt.scale * np.log(t / (1 - t)) + platt.offset
    return tuple(float(v) for v in 1 / (1 + np.exp(-moved)))


def fold_into_head(
    net: AffectNet, platt: PlattScaling | None = None, temperature: float = 1.0
) -> AffectNet:
    """A copy of the network that gives calibrated logits; nothing is added at run time.

    - AU: the readout of the graph, logit_k = H[k] . R[k] + c[k], takes R[k] * scale_k and c[k] *
      scale_k + offset_k.
    - Expression: weight and bias of its layer are divided by the temperature.
    - Valence and arousal read the expression logits, so their columns for these are multiplied
      by the temperature: the
      outputs stay as they were.

    The winning expression stays the same; AU decisions do with `fold_thresholds`.
    """
    import torch

    low, high = TEMPERATURE_BOUNDS
    if not low <= temperature <= high:
        raise ValueError(f"temperature must lie between {low} and {high}, got {temperature}")
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
    """Weights [D] of the most likely logistic model sigmoid(base + columns . w) of soft targets
    [N], by Newton's method.

    Steps are halved until the loss falls (Lin, Lin & Weng 2007 do so for the same problem).
    """
    weights = np.zeros(columns.shape[1])
    unit = np.maximum(
        np.sqrt((columns**2).mean(axis=0)), 1e-12
    )  # logits of any size give one well-conditioned problem
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
        share = 1.0
        while share > 1e-10 and loss(weights - share * step) > current:
            share /= 2
        weights = weights - share * step
        current = loss(weights)
    return np.asarray(weights / unit)


def _check(score: NDArray[np.floating], truth: Flags, known: Flags | None, columns: int) -> None:
    """Raise ValueError unless all have the shape [N, columns] and the scores are finite where they
    are known.
    """
    for name, array in (
        ("scores", score),
        ("truth", truth),
        ("known", truth if known is None else known),
    ):
        if array.ndim != 2 or array.shape != (len(score), columns):
            raise ValueError(f"{name} must have shape [N, {columns}], got {array.shape}")
    if truth.dtype != np.bool_:
        raise ValueError(f"truth must be boolean (masked cells go into `known`), got {truth.dtype}")
    if not np.isfinite(score if known is None else score[known]).all():
        raise ValueError("scores must be finite where they are known, some are NaN or infinite")
