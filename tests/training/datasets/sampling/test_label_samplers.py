"""Multi-task samplers: order, coverage and repeatability."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.datasets.sampling.label_samplers import (
    AlternatingSampler,
    CurriculumSampler,
    MixedSampler,
    PerTaskSampler,
    SemiSupervisedSampler,
    TaskRows,
)
from training.datasets.sampling.step import Part, Step, shard

REQUIRES = ("pyarrow",)

EXPR, AU, VA = (
    TaskRows(("EXPR",), np.arange(0, 10)),
    TaskRows(("AU",), np.arange(10, 35)),
    TaskRows(("VA",), np.arange(35, 39)),
)
ALL = {"EXPR": EXPR, "AU": AU, "VA": VA}


def rows_by_task(steps) -> dict[str, Counter]:
    drawn: dict[str, Counter] = {}
    for step in steps:
        for part in step.parts:
            drawn.setdefault("+".join(part.tasks), Counter()).update(part.rows.tolist())
    return drawn


def same(one, other) -> bool:
    def flat(steps):
        return [(s.phase, [(p.tasks, p.rows.tolist()) for p in s.parts]) for s in steps]

    return flat(one) == flat(other)


SAMPLERS = {
    "mixed": MixedSampler(TaskRows(("EXPR", "AU", "VA"), np.arange(39)), 8, seed=3),
    "longest": PerTaskSampler(ALL, 4, seed=3),
    "shortest": PerTaskSampler(ALL, 4, "shortest", seed=3),
    "alternate by batch": AlternatingSampler(ALL, 4, seed=3),
    "alternate by epoch": AlternatingSampler(ALL, 4, "epoch", seed=3),
    "phases": CurriculumSampler({"EXPR": EXPR, "AU": AU}, 4, seed=3),
}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_sampler_is_deterministic_counted_and_new_each_epoch(sampler):
    steps = list(sampler.steps(1))
    assert len(steps) == sampler.count(1)
    assert same(steps, sampler.steps(1))
    assert not same(steps, sampler.steps(2))
    assert all(0 < len(part.rows) <= sampler.batch for step in steps for part in step.parts)


def test_mixed_sampler_draws_every_row_once():
    (drawn,) = rows_by_task(SAMPLERS["mixed"].steps(0)).values()
    assert drawn == Counter(range(39))


def test_semi_supervised_sampler_adds_unlabeled_rows():
    steps = list(SemiSupervisedSampler(AU, EXPR, 4, 3, seed=3).steps(0))
    assert (
        len(steps) == SemiSupervisedSampler(AU, EXPR, 4, 3).count(0) == 7
    )  # 25 labeled rows in fours
    labeled = Counter(row for step in steps for row in step.parts[0].rows.tolist() if row >= 10)
    assert labeled == Counter(range(10, 35))
    others = [sum(row < 10 for row in step.parts[0].rows.tolist()) for step in steps]
    assert all(
        1 <= count <= 3 for count in others
    )  # the last batch of each pass through ten is smaller
    assert {row for step in steps for row in step.parts[0].rows.tolist() if row < 10} == set(
        range(10)
    )
    assert same(
        SemiSupervisedSampler(AU, EXPR, 4, 3, seed=3).steps(2),
        SemiSupervisedSampler(AU, EXPR, 4, 3, seed=3).steps(2),
    )


def test_per_task_sampler_longest_repeats_shorter_sets():
    sampler = SAMPLERS["longest"]
    steps = list(sampler.steps(0))
    assert len(steps) == 7  # 25 rows of AU in fours
    assert all(
        [part.tasks for part in step.parts] == [("EXPR",), ("AU",), ("VA",)] for step in steps
    )
    drawn = rows_by_task(steps)
    assert drawn["AU"] == Counter(range(10, 35))
    assert set(drawn["VA"].values()) == {7}  # one batch of all four in every step
    assert set(drawn["EXPR"]) == set(range(10))
    assert max(drawn["EXPR"].values()) - min(drawn["EXPR"].values()) <= 1
    rounds = [sorted(r for s in steps[k : k + 3] for r in s.parts[0].rows.tolist()) for k in (0, 3)]
    assert rounds == [list(range(10))] * 2  # a set is through before it starts over


def test_per_task_sampler_shortest_ends_with_first_set():
    assert len(list(SAMPLERS["shortest"].steps(0))) == 1


def test_per_task_sampler_joint_set_counts_for_both_tasks():
    joint = TaskRows(("EXPR", "VA"), np.arange(5))
    (step,) = PerTaskSampler({"EXPR": EXPR, "EXPR_VA": joint}, 100).steps(0)
    assert [part.tasks for part in step.parts] == [("EXPR",), ("EXPR", "VA")]


def test_alternating_sampler_by_batch_takes_turns():
    steps = list(AlternatingSampler({"EXPR": EXPR, "AU": AU}, 4).steps(0))
    assert [step.phase for step in steps] == ["EXPR", "AU"] * 7
    assert rows_by_task(steps)["AU"] == Counter(range(10, 35))
    assert all(len(step.parts) == 1 for step in steps)


def test_alternating_sampler_by_epoch_and_curriculum_finish_sets_in_order():
    for sampler in (
        AlternatingSampler({"EXPR": EXPR, "AU": AU}, 4, "epoch"),
        CurriculumSampler({"EXPR": EXPR, "AU": AU}, 4),
    ):
        steps = list(sampler.steps(0))
        assert [step.phase for step in steps] == ["EXPR"] * 3 + ["AU"] * 7
        assert rows_by_task(steps) == {"EXPR": Counter(range(10)), "AU": Counter(range(10, 35))}


def test_task_rows_weights_set_draw_frequency():
    weights = np.array([0, 1.0, 3, 0, 0, 0, 0, 0, 0, 0])
    sampler = MixedSampler(TaskRows(("EXPR",), np.arange(10) + 100, weights), 10)
    drawn = Counter(
        r
        for epoch in range(400)
        for step in sampler.steps(epoch)
        for r in step.parts[0].rows.tolist()
    )
    assert set(drawn) == {101, 102}
    assert drawn[102] / drawn[101] == pytest.approx(3, rel=0.15)


def test_sampler_with_empty_task_raises():
    for sampler in (
        MixedSampler(TaskRows(("VA",), np.zeros(0, np.int64)), 4),
        PerTaskSampler(ALL | {"none": TaskRows(("AU", "VA"), np.zeros(0, np.int64))}, 4),
    ):
        with pytest.raises(ValueError, match=r"no row to train on for .*VA"):
            list(sampler.steps(0))
    with pytest.raises(ValueError, match="expected 10 weights, got 3"):
        list(MixedSampler(TaskRows(("EXPR",), np.arange(10), np.ones(3)), 4).steps(0))


def test_mixed_sampler_accepts_clips_by_epoch():
    sampler = MixedSampler(
        TaskRows(("AU",), lambda epoch: np.arange(12).reshape(4, 3) + 100 * epoch), 3
    )
    first, second = sampler.steps(2)
    assert first.parts[0].rows.shape == (3, 3)
    assert second.parts[0].rows.shape == (1, 3)
    assert sorted(np.concatenate([first.parts[0].rows, second.parts[0].rows])[:, 0].tolist()) == [
        200,
        203,
        206,
        209,
    ]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_shard_splits_step_evenly(world):
    step = Step((Part(("AU",), np.arange(7)), Part(("VA",), np.array([50]))), "x")
    parts = [shard(step, rank, world).parts for rank in range(world)]
    for k, expected in enumerate((set(range(7)), {50})):
        assert len({len(p[k].rows) for p in parts}) == 1  # no process waits for another
        assert set().union(*(p[k].rows.tolist() for p in parts)) == expected
    assert shard(step, 0, world).phase == "x"
