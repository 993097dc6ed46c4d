"""Ideas of M5 and M6, about missing and wrong labels, on cached features; as in `frame_ideas`."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.ablations.cached.data import CachedData, Labels, Split
from training.ablations.cached.fit import FitConfig, fit, judge, scorer, uniform
from training.ablations.cached.frame_ideas import (
    ALL_TASKS,
    TERMS,
    Arms,
    Heads,
    fit_heads,
    frame_predict,
)
from training.datasets.frame_table import TASKS
from training.engine.ema import EmaModel
from training.losses.distillation import rank_regularization, sigmoid_rampup
from training.losses.total_loss import total_loss
from training.methods.objectives import RANK_WEIGHT, pseudo_targets

LABELED_VIDEOS: Final = 0.2  # of M5's
WRONG_LABELS: Final = 0.3  # of M5's self-cure
SHOWN_LABELS: Final = 0.15  # of M6's videos, for each task
RANK_SHARE: Final = 0.4 * RANK_WEIGHT / 3
"""Weight of the rank loss beside the expression's: as published after the ramp, 0.4 x 12 to 3."""

RELABEL_AFTER_STEPS: Final = 200
RELABEL_MARGIN: Final = 0.2


def mean_teacher(data: CachedData, split: Split) -> Arms:
    """M5. A fifth of the training videos is labeled; a moving average of the network fills the
    labels of the others.
    """
    of = [video for video in data.videos if np.isin(video, split.train).all()]
    chosen = split.random(3).permutation(len(of))[: max(2, round(LABELED_VIDEOS * len(of)))]
    labeled = np.concatenate([of[k] for k in chosen])
    others = np.setdiff1d(split.train, labeled)
    shown = np.zeros(len(data.person), bool)
    shown[labeled] = True
    labels = data.labels.masked(shown, shown, shown)
    first, second = uniform(labeled, 32), uniform(others, 32)

    def draw(random: np.random.Generator, step: int) -> Tensor:
        return torch.cat([first(random, step), second(random, step)])

    arms: Arms = {}
    for name, uses_teacher in (("teacher", True), ("supervised", False)):
        torch.manual_seed(split.seed)
        net = Heads(data.features.shape[1])
        average = EmaModel(net)

        def loss(
            rows: Tensor,
            step: int,
            net: nn.Module = net,
            average: EmaModel = average,
            uses_teacher: bool = uses_teacher,
        ) -> Tensor:
            batch = labels.batch(rows)
            outputs = net(data.features[rows])
            value = total_loss(TERMS, outputs, batch)["loss"]
            if uses_teacher:
                with torch.no_grad():
                    targets = pseudo_targets(batch, average.net(data.features[rows]))
                value = (
                    value + sigmoid_rampup(step / 20) * total_loss(TERMS, outputs, targets)["loss"]
                )
            return value

        predict = frame_predict(average.net, data)
        holder = nn.ModuleList([net, average.net])
        steps = fit(
            holder,
            loss,
            draw,
            scorer(predict, data, split, ALL_TASKS),
            split.random(16),
            after_step=partial(average.update, net),
        )
        arms[f"{name}, average judged"] = judge(predict, data, split, ALL_TASKS, steps)
        student = frame_predict(net, data)
        arms[f"{name}, student judged"] = judge(student, data, split, ALL_TASKS, steps)
    return {
        "full": arms.pop("teacher, average judged"),
        "supervised, average judged": arms.pop("supervised, average judged"),
        "supervised": arms.pop("supervised, student judged"),
        "student judged": arms.pop("teacher, student judged"),
    }


def self_cure(data: CachedData, split: Split) -> Arms:
    """M5. Three of ten training frames have another frame's expression; long training of a wide
    head.
    """
    rows = split.train[data.labels.expression_mask[split.train].numpy() > 0]
    random = split.random(4)
    expression = data.labels.expression.clone()
    wrong = random.permutation(rows)[: round(WRONG_LABELS * len(rows))]
    expression[wrong] = expression[random.choice(rows, len(wrong))]
    arms: Arms = {}
    for name, cures, relabels in (
        ("full", True, False),
        ("no self-cure", False, False),
        ("with relabeling", True, True),
    ):
        torch.manual_seed(split.seed)
        net = Heads(data.features.shape[1], hidden=512, dropout=0.0, cure=cures)
        labels = expression.clone()

        def loss(
            chosen: Tensor,
            step: int,
            net: nn.Module = net,
            cures: bool = cures,
            labels: Tensor = labels,
            relabels: bool = relabels,
        ) -> Tensor:
            outputs = net(data.features[chosen])
            logit = outputs["expression_logit"]
            if relabels and step > RELABEL_AFTER_STEPS:
                _relabel(labels, chosen, logit.detach(), outputs["alpha"].detach())
            value = functional.cross_entropy(logit, labels[chosen])
            if cures:
                value = value + RANK_SHARE * rank_regularization(outputs["alpha"])
            return value

        predict = frame_predict(net, data)
        steps = fit(
            net,
            loss,
            uniform(rows),
            # No choice of a step: that would undo the memorizing that self-cure is to prevent.
            lambda: 0.0,
            split.random(17),
            FitConfig(max_steps=600, check_every=600),
        )
        arms[name] = judge(predict, data, split, ("EXPR",), steps)
    return arms


def _relabel(labels: Tensor, rows: Tensor, logit: Tensor, alpha: Tensor) -> None:
    """SCN's relabeling: of the three tenths trusted least, those that the network is clearly surer
    of than of the label.
    """
    probability = logit.softmax(dim=1)
    best, winner = probability.max(dim=1)
    given = probability.gather(1, labels[rows][:, None])[:, 0]
    low = alpha <= alpha.quantile(0.3)
    changed = low & (best - given > RELABEL_MARGIN)
    labels[rows[changed]] = winner[changed]


def pseudo_labels(data: CachedData, split: Split) -> Arms:
    """M6. Each task is labeled in 15 % of the training videos; single-task heads fill the rest."""
    random = split.random(5)
    shown = np.zeros((len(data.person), 3), bool)
    of = [video for video in data.videos if np.isin(video, split.train).all()]
    for column in range(3):
        count = max(3, round(SHOWN_LABELS * len(of)))
        for k in random.permutation(len(of))[:count]:
            shown[of[k], column] = True
    labels = data.labels.masked(*shown.T)
    filled: dict[str, Tensor] = {}
    for k, (task, term) in enumerate(zip(TASKS, TERMS, strict=True)):
        torch.manual_seed(split.seed)
        net = Heads(data.features.shape[1])
        rows = np.flatnonzero(shown[:, k])
        fit_heads(net, data, split, labels, (task,), uniform(rows), 18)
        with torch.no_grad():
            filled[term.output] = net(data.features)[term.output]
    targets = {
        "au": torch.where(labels.au_mask > 0, labels.au, (filled["au_logit"] > 0).float()),
        "expression": torch.where(
            labels.expression_mask > 0, labels.expression, filled["expression_logit"].argmax(dim=1)
        ),
        "va": torch.where(labels.va_mask[:, None] > 0, labels.va, filled["va"].clamp(-0.99, 0.99)),
    }
    ones = {f"{name}_mask": torch.ones_like(getattr(labels, f"{name}_mask")) for name in targets}
    arms: Arms = {}
    for name, given, rows in (
        ("full", Labels(**targets, **ones), split.train),
        ("no pseudo labels", labels, np.flatnonzero(shown.any(axis=1))),
    ):
        torch.manual_seed(split.seed)
        net = Heads(data.features.shape[1])
        arms[name] = fit_heads(net, data, split, given, ALL_TASKS, uniform(rows), 19)
    return arms
