"""Training of a small network until its validation curve is flat, and the scores of predictions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.ablations.cached.data import CachedData, Rows, Split
from training.metrics import auroc

Outputs = dict[str, Tensor]
Predict = Callable[[Rows], Outputs]
"""Outputs of rows: `au_logit`, `expression_logit`, `va`, each or none."""

Draw = Callable[[np.random.Generator, int], Tensor]
"""Indices of the samples of a step."""

_AUS: Final = len(AU_NAMES)
_CLASSES: Final = len(EXPRESSION_NAMES)
_THRESHOLDS: Final = np.linspace(0.05, 0.95, 19)
_MOMENTS: Final = 6
SUMS: Final = 3 * _AUS + 3 * _CLASSES + 2 * _MOMENTS


@dataclass(frozen=True, slots=True)
class FitConfig:
    """Length and optimizer of a fit; it ends after `patience` checks without a better score."""

    max_steps: int = 1000
    check_every: int = 50
    patience: int = 5
    rate: float = 2e-3
    weight_decay: float = 1e-3


DEFAULT: Final = FitConfig()


def fit(
    net: nn.Module,
    loss: Callable[[Tensor, int], Tensor],
    draw: Draw,
    score: Callable[[], float],
    random: np.random.Generator,
    config: FitConfig = DEFAULT,
    after_step: Callable[[], None] | None = None,
) -> int:
    """Train `net` on `loss(samples, step)` and restore its weights of the best `score`; returns
    the step of these.
    """
    optimizer = torch.optim.AdamW(
        [p for p in net.parameters() if p.requires_grad],
        lr=config.rate,
        weight_decay=config.weight_decay,
    )
    best, best_step, state = -np.inf, 0, copy.deepcopy(net.state_dict())
    for step in range(1, config.max_steps + 1):
        net.train()
        optimizer.zero_grad()
        loss(draw(random, step), step).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if after_step is not None:
            after_step()
        if step % config.check_every == 0 or step == config.max_steps:
            net.eval()
            with torch.no_grad():
                value = score()
            if value > best:
                best, best_step, state = value, step, copy.deepcopy(net.state_dict())
            elif step - best_step >= config.patience * config.check_every:
                break
    net.load_state_dict(state)
    net.eval()
    return best_step


def uniform(rows: Rows, batch: int = 64) -> Draw:
    """Rows drawn with equal probability."""
    pool = torch.from_numpy(np.asarray(rows))
    return lambda random, step: pool[random.integers(0, len(pool), batch)]


@torch.no_grad()
def tune_score(predict: Predict, data: CachedData, rows: Rows, tasks: tuple[str, ...]) -> float:
    """Mean over tasks of the AUs' AUROC, the expressions' macro-F1 and the mean CCC."""
    outputs, labels = predict(rows), data.labels
    values = []
    if "AU" in tasks:
        values.append(_mean_auroc(outputs["au_logit"].numpy(), labels.au[rows].numpy() > 0.5))
    sums = person_sums(outputs, data, rows, np.full(_AUS, 0.5))
    for task in ("EXPR", "VA"):
        if task in tasks:
            values.append(float(score_of_sums(sums.sum(axis=0), (task,))))
    return float(np.mean(values))


def scorer(
    predict: Predict, data: CachedData, split: Split, tasks: tuple[str, ...]
) -> Callable[[], float]:
    """`tune_score` of predictions on the tuning people."""
    return lambda: tune_score(predict, data, split.tune, tasks)


def _mean_auroc(logit: NDArray[np.float32], active: NDArray[np.bool_]) -> float:
    varies = active.any(axis=0) & ~active.all(axis=0)
    return float(np.mean([auroc(logit[:, k], active[:, k]) for k in np.flatnonzero(varies)]))


@dataclass(frozen=True, slots=True)
class ArmScores:
    """Scores of one arm on the test people of a split.

    `score`: mean over tasks of the mean F1 of AUs at thresholds chosen on tuning people, the
    macro-F1 of expressions and the mean CCC. `at_half` has AUs at 0.5 instead; `threshold_free`
    AUROC of AUs and of expressions instead of both F1.
    """

    score: float
    at_half: float
    threshold_free: float
    average_precision: float
    steps: int
    sums: NDArray[np.float64]  # [people, SUMS] of `score`


def judge(
    predict: Predict, data: CachedData, split: Split, tasks: tuple[str, ...], steps: int = 0
) -> ArmScores:
    """Scores of predictions on the test people, with thresholds of the tuning people."""
    with torch.no_grad():
        tuned, outputs = predict(split.tune), predict(split.test)
    thresholds = np.full(_AUS, 0.5)
    free, precision = [], []
    labels = data.labels
    if "AU" in tasks:
        active = labels.au[split.test].numpy() > 0.5
        logit = outputs["au_logit"].numpy()
        thresholds = choose_thresholds(
            torch.sigmoid(tuned["au_logit"]).numpy(), labels.au[split.tune].numpy() > 0.5
        )
        free.append(_mean_auroc(logit, active))
        precision.append(_mean_precision(logit, active))
    if "EXPR" in tasks:
        known = labels.expression_mask[split.test].numpy() > 0
        logit = outputs["expression_logit"].softmax(dim=1).numpy()[known]
        shown = np.eye(_CLASSES, dtype=bool)[labels.expression[split.test].numpy()[known]]
        free.append(_mean_auroc(logit, shown))
        precision.append(_mean_precision(logit, shown))
    sums = person_sums(outputs, data, split.test, thresholds)
    half = person_sums(outputs, data, split.test, np.full(_AUS, 0.5))
    if "VA" in tasks:
        value = float(score_of_sums(sums.sum(axis=0), ("VA",)))
        free.append(value)
        precision.append(value)
    return ArmScores(
        float(score_of_sums(sums.sum(axis=0), tasks)),
        float(score_of_sums(half.sum(axis=0), tasks)),
        float(np.mean(free)),
        float(np.mean(precision)),
        steps,
        sums,
    )


def choose_thresholds(
    probability: NDArray[np.float32], active: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Threshold [12] of the best F1 of each AU; 0.5 for an AU that is never active."""
    on = probability[None] > _THRESHOLDS[:, None, None]
    hits = (on & active).sum(axis=1)
    f1 = 2 * hits / np.maximum(on.sum(axis=1) + active.sum(axis=0), 1)
    best = _THRESHOLDS[f1.argmax(axis=0)]
    return np.where(active.any(axis=0), best, 0.5)


def _mean_precision(logit: NDArray[np.float32], active: NDArray[np.bool_]) -> float:
    """Mean average precision over columns that are sometimes active."""
    values = []
    for k in np.flatnonzero(active.any(axis=0)):
        ranked = active[np.argsort(-logit[:, k], kind="stable"), k]
        precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
        values.append(precision[ranked].mean())
    return float(np.mean(values))


def person_sums(
    outputs: Outputs, data: CachedData, rows: Rows, thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums [people, SUMS] over each person's rows, of which `score_of_sums` is a function."""
    labels = data.labels
    columns = np.zeros((len(rows), SUMS))
    if "au_logit" in outputs:
        on = torch.sigmoid(outputs["au_logit"]).numpy() > thresholds
        active = labels.au[rows].numpy() > 0.5
        columns[:, : 3 * _AUS] = np.concatenate([on & active, on, active], axis=1)
    if "expression_logit" in outputs:
        known = labels.expression_mask[rows].numpy()[:, None] > 0
        one = np.eye(_CLASSES, dtype=bool)
        found = one[outputs["expression_logit"].numpy().argmax(axis=1)] & known
        shown = one[labels.expression[rows].numpy()] & known
        columns[:, 3 * _AUS : 3 * (_AUS + _CLASSES)] = np.concatenate(
            [found & shown, found, shown], axis=1
        )
    if "va" in outputs:
        x, y = outputs["va"].numpy().astype(float), labels.va[rows].numpy().astype(float)
        moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=2)
        columns[:, -2 * _MOMENTS :] = moments.reshape(len(rows), -1)
    sums = np.zeros((data.people, SUMS))
    np.add.at(sums, data.person[rows], columns)
    return sums


def score_of_sums(sums: NDArray[np.float64], tasks: tuple[str, ...]) -> NDArray[np.float64]:
    """Score [...] of sums [..., SUMS] over any people: mean over tasks (`ArmScores.score`)."""
    values = []
    if "AU" in tasks:
        values.append(_mean_f1(sums[..., : 3 * _AUS], _AUS))
    if "EXPR" in tasks:
        values.append(_mean_f1(sums[..., 3 * _AUS : 3 * (_AUS + _CLASSES)], _CLASSES))
    if "VA" in tasks:
        n, x, y, xx, yy, xy = np.moveaxis(
            sums[..., -2 * _MOMENTS :].reshape(*sums.shape[:-1], 2, _MOMENTS), -1, 0
        )
        n = np.maximum(n, 1)
        covariance = xy / n - x * y / n**2
        spread = xx / n - (x / n) ** 2 + yy / n - (y / n) ** 2 + (x / n - y / n) ** 2
        values.append((2 * covariance / (spread + 1e-8)).mean(axis=-1))
    return np.asarray(np.mean(values, axis=0))


def _mean_f1(sums: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Mean F1 over columns that occur."""
    hits, found, shown = (sums[..., k * columns : (k + 1) * columns] for k in range(3))
    f1 = 2 * hits / np.maximum(found + shown, 1)
    return np.asarray((f1 * (shown > 0)).sum(axis=-1) / np.maximum((shown > 0).sum(axis=-1), 1))
