"""Scores and fits of ablations on cached features, against direct computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.ablations.cached.random_data import random_data
from training.ablations.cached.data import split_people
from training.ablations.cached.fit import (
    FitConfig,
    choose_thresholds,
    fit,
    judge,
    person_sums,
    score_of_sums,
    uniform,
)
from training.metrics import auroc, f1
from training.metrics.classes import macro_f1
from training.metrics.continuous import ccc

pytestmark = pytest.mark.train
DATA = random_data()


def random_outputs(rows: np.ndarray) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    every = len(DATA.person)
    return {
        "au_logit": torch.randn(every, 12, generator=generator)[rows],
        "expression_logit": torch.randn(every, 7, generator=generator)[rows],
        "va": (torch.rand(every, 2, generator=generator) * 2 - 1)[rows],
    }


def test_score_of_person_sums_equals_metrics_of_pooled_rows() -> None:
    rows = np.flatnonzero(DATA.person % 2 == 0)
    outputs, labels = random_outputs(rows), DATA.labels
    thresholds = np.linspace(0.3, 0.7, 12)
    sums = person_sums(outputs, DATA, rows, thresholds)
    assert (sums[1::2] == 0).all(), "only the people of the rows"
    on = torch.sigmoid(outputs["au_logit"]).numpy() > thresholds
    active = labels.au[rows].numpy() > 0.5
    au = np.mean([f1(on[:, k], active[:, k]) for k in range(12)])
    known = labels.expression_mask[rows].numpy() > 0
    found = outputs["expression_logit"].numpy().argmax(axis=1)[known]
    expression = macro_f1(found, labels.expression[rows].numpy()[known])
    va = np.mean([ccc(outputs["va"][:, k].numpy(), labels.va[rows, k].numpy()) for k in range(2)])
    pooled = sums.sum(axis=0)
    for task, expected in (("AU", au), ("EXPR", expression), ("VA", va)):
        assert float(score_of_sums(pooled, (task,))) == pytest.approx(expected, abs=1e-6)
    together = float(score_of_sums(pooled, ("AU", "EXPR", "VA")))
    assert together == pytest.approx((au + expression + va) / 3, abs=1e-6)


def test_judge_takes_thresholds_of_tuning_people_only() -> None:
    split = split_people(DATA, 1)
    scores = judge(random_outputs, DATA, split, ("AU",))
    tuned = torch.sigmoid(random_outputs(split.tune)["au_logit"]).numpy()
    active = DATA.labels.au[split.tune].numpy() > 0.5
    thresholds = choose_thresholds(tuned, active)
    for k in range(12):
        best = max(f1(tuned[:, k] > t, active[:, k]) for t in np.linspace(0.05, 0.95, 19))
        assert f1(tuned[:, k] > thresholds[k], active[:, k]) == pytest.approx(best)
    logit = random_outputs(split.test)["au_logit"].numpy()
    truth = DATA.labels.au[split.test].numpy() > 0.5
    on = torch.sigmoid(torch.from_numpy(logit)).numpy() > thresholds
    expected = np.mean([f1(on[:, k], truth[:, k]) for k in range(12)])
    assert scores.score == pytest.approx(expected)
    free = np.mean([auroc(logit[:, k], truth[:, k]) for k in range(12)])
    assert scores.threshold_free == pytest.approx(free)


def test_split_people_keeps_people_apart_and_differs_by_seed() -> None:
    splits = [split_people(DATA, seed) for seed in (1, 2)]
    for split in splits:
        people = [set(DATA.person[rows].tolist()) for rows in (split.train, split.tune, split.test)]
        assert sum(map(len, people)) == DATA.people == len(set.union(*people))
        assert len(people[2]) == round(0.25 * DATA.people)
    assert not np.array_equal(splits[0].test, splits[1].test)


def test_fit_restores_best_weights_and_stops_when_flat() -> None:
    net = nn.Linear(1, 1, bias=False)
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    weights: list[float] = []

    def score() -> float:
        weights.append(float(net.weight.detach()))
        return next(scores)

    steps = fit(
        net,
        lambda samples, step: net(torch.ones(1, 1)).sum(),
        uniform(np.arange(4)),
        score,
        np.random.default_rng(0),
        FitConfig(max_steps=100, check_every=10, patience=2),
    )
    assert steps == 20
    assert len(weights) == 4, "two checks without a better score"
    assert float(net.weight.detach()) == weights[1]
