"""Rows of the steps of recipes, counted independently of the samplers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data, synthetic_faces
from training.datasets.frame_table import FrameTable
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader, PairSampler
from training.methods.build_sampler import build_sampler, recipe_tasks
from training.methods.recipe_lookup import find_recipe

pytestmark = pytest.mark.train
FRAMES = InputSpec("frames", 1, 32)


def partly_labeled(table: FrameTable) -> FrameTable:
    """Rows labeled in turn for expression, AUs or both; valence and arousal in the first half."""
    kind = np.arange(len(table)) % 3
    return replace(
        table,
        expression_mask=kind != 1,
        au_mask=np.repeat((kind != 0)[:, None], 12, axis=1),
        va_mask=np.arange(len(table)) < len(table) // 2,
    )


def recipe(name: str, *options: str):  # type: ignore[no-untyped-def]
    return find_recipe(name, "compact", ["batch=8", *options])


def test_recipe_tasks_follow_losses() -> None:
    assert recipe_tasks(find_recipe("M3")) == ("AU", "EXPR")
    assert recipe_tasks(find_recipe("M4")) == ("AU",)
    assert recipe_tasks(find_recipe("M5")) == ("AU", "EXPR", "VA")
    assert recipe_tasks(find_recipe("M8")) == ("EXPR", "VA")


def test_curriculum_sampler_orders_phases() -> None:
    table = partly_labeled(synthetic_faces()[0])
    steps = list(build_sampler(recipe("M3"), table, FRAMES, 1).steps(0))
    phases = [step.phase for step in steps]
    assert phases == sorted(phases, key=["EXPR only", "AU only", "several"].index)
    rows = {
        phase: np.concatenate([s.parts[0].rows for s in steps if s.phase == phase])
        for phase in set(phases)
    }
    kinds = {phase: set((indices % 3).tolist()) for phase, indices in rows.items()}
    assert kinds == {"EXPR only": {0}, "AU only": {1}, "several": {2}}
    assert sorted(np.concatenate(list(rows.values()))) == list(range(56))


def test_per_task_sampler_has_batch_per_task_and_longest_epoch() -> None:
    table = partly_labeled(synthetic_faces()[0])
    sampler = build_sampler(recipe("M1"), table, FRAMES, 1)
    steps = list(sampler.steps(0))
    assert len(steps) == sampler.count(0) == 5  # 38 rows of eight
    for step in steps:
        assert [part.tasks for part in step.parts] == [("AU",), ("EXPR",), ("VA",)]
        assert table.au_mask[step.parts[0].rows].all()
        assert table.va_mask[step.parts[2].rows].all()


def test_per_task_sampler_of_joint_set_ends_with_shortest_task() -> None:
    table = partly_labeled(synthetic_faces()[0])
    both = table.expression_mask & table.va_mask
    steps = list(build_sampler(recipe("M8", "net.recurrence=none"), table, FRAMES, 1).steps(0))
    assert len(steps) == -(-int(both.sum()) // 8)
    assert all(both[step.parts[2].rows].all() and len(step.parts) == 3 for step in steps)


def test_alternating_sampler_alternates_by_batch_or_epoch() -> None:
    table = partly_labeled(synthetic_faces()[0])
    turns = {
        turn: [
            step.phase
            for step in build_sampler(
                recipe("M2", f"sampling.turn={turn}"), table, FRAMES, 1
            ).steps(0)
        ]
        for turn in ("batch", "epoch")
    }
    assert turns["batch"] == ["EXPR", "AU"] * 5
    assert turns["epoch"] == ["EXPR"] * 5 + ["AU"] * 5


def test_build_sampler_with_ema_teacher_includes_unlabeled_frames() -> None:
    table = partly_labeled(synthetic_faces()[0])
    few = np.arange(56) < 10
    sparse = replace(table, au_mask=table.au_mask & few[:, None], expression_mask=few, va_mask=few)
    for options, count in (
        ((), 56),
        (("targets=ignore",), 10),
    ):  # every frame: neighbors are not thinned here
        steps = build_sampler(recipe("M5", "sampling.every=1", *options), sparse, FRAMES, 1).steps(
            0
        )
        assert sum(len(step.parts[0].rows) for step in steps) == count


def test_semi_supervised_sampler_adds_unlabeled_samples_to_full_batch() -> None:
    table = partly_labeled(synthetic_faces()[0])
    few = np.arange(56) < 16
    sparse = replace(table, au_mask=table.au_mask & few[:, None], expression_mask=few, va_mask=few)
    with_teacher = recipe("M5", "sampling.every=1", "sampling.unlabeled=5")
    supervised = recipe("M5", "sampling.every=1", "targets=ignore")
    rows = [
        step.parts[0].rows[:, -1]
        for step in build_sampler(with_teacher, sparse, InputSpec("clips", 4, 32), 1).steps(0)
    ]
    plain = [
        step.parts[0].rows[:, -1]
        for step in build_sampler(supervised, sparse, InputSpec("clips", 4, 32), 1).steps(0)
    ]
    assert (
        [int((indices < 16).sum()) for indices in rows]
        == [len(indices) for indices in plain]
        == [8, 8]
    )
    assert [int((indices >= 16).sum()) for indices in rows] == [5, 5]
    # If everything is labeled, no sample is added.
    fully_labeled = replace(
        table,
        au_mask=np.ones((56, 12), bool),
        expression_mask=np.ones(56, bool),
        va_mask=np.ones(56, bool),
    )
    assert all(
        len(step.parts[0].rows) == 8
        for step in build_sampler(with_teacher, fully_labeled, FRAMES, 1).steps(0)
    )


def test_unlabeled_sampling_without_teacher_raises() -> None:
    with pytest.raises(ValueError, match=r"needs sampler=mixed and targets=ema_teacher"):
        recipe("M5", "sampling.unlabeled=5", "targets=ignore")
    with pytest.raises(ValueError, match=r"sampling.unlabeled must be at least 0, got -1"):
        recipe("M5", "sampling.unlabeled=-1")


def test_build_sampler_with_frame_stride_visits_each_row_once_in_n_epochs() -> None:
    table = synthetic_faces()[0]
    sampler = build_sampler(recipe("M6", "sampling.every=4"), table, FRAMES, 1)
    epochs = [
        np.concatenate([step.parts[0].rows for step in sampler.steps(epoch)]) for epoch in range(4)
    ]
    assert all(12 <= len(rows) <= 16 for rows in epochs)
    assert sorted(np.concatenate(epochs)) == list(range(56))


def test_build_sampler_balances_expressions() -> None:
    table = synthetic_faces({"one": 400})[0]
    rare = replace(table, expression=np.where(np.arange(400) < 20, 3, 0).astype(np.int8))
    chosen = recipe("M8", "net.recurrence=none", "sampling.joint=false")
    steps = build_sampler(chosen, rare, FRAMES, 1).steps(0)
    drawn = np.concatenate([rare.expression[step.parts[0].rows] for step in steps])
    assert 0.4 < (drawn == 3).mean() < 0.6


def test_window_sampling_holds_labeled_frame_and_pads_short_videos() -> None:
    table = synthetic_faces({"long": 40, "short": 3})[0]
    some = replace(
        table, expression_mask=np.isin(np.arange(43), (5, 41)), au_mask=np.zeros((43, 12), bool)
    )
    form = InputSpec("windows", 10, 32)
    with pytest.warns(UserWarning, match="M2 trains without AU"):
        steps = list(build_sampler(recipe("M2", "sampling.stride=5"), some, form, 1).steps(0))
    windows = np.concatenate([step.parts[0].rows for step in steps])
    assert windows.shape[1] == 10
    assert all(5 in window or 41 in window for window in windows.tolist())
    assert [40, 41, 42, 42, 42, 42, 42, 42, 42, 42] in windows.tolist()


def test_build_sampler_without_labeled_rows_raises() -> None:
    table = synthetic_faces()[0]
    none = replace(table, au_mask=np.zeros_like(table.au_mask))
    with pytest.raises(
        ValueError, match="no row to train M4 on: no training row with a crop is labeled for AU"
    ):
        build_sampler(recipe("M4"), none, FRAMES, 1)


def test_pair_sampler_draws_differing_frames_of_one_video() -> None:
    data = synthetic_data()
    chosen = recipe("M7", *SMALL["pairwise_intensity"], "sampling.pairs=5", "sampling.jitter=none")
    source = BatchLoader(chosen, data, FRAMES, 1)
    assert source.steps_per_epoch == 8
    steps = PairSampler(data.train, chosen.batch, 5, 1).steps(0)
    for step in steps:
        rows = step.parts[0].rows
        assert (data.train.video[rows[:, 0]] == data.train.video[rows[:, 1]]).all()
        assert (data.train.au[rows[:, 0]] != data.train.au[rows[:, 1]]).any(axis=1).all()
    (batch,) = source.get(0)
    rows = steps[0].parts[0].rows
    assert torch.equal(
        batch["order"], torch.from_numpy(data.train.au[rows[:, 1]] - data.train.au[rows[:, 0]])
    )
    source.close()


def test_batch_loader_of_pairs_with_single_class_raises() -> None:
    data = synthetic_data()
    flat = replace(data, train=replace(data.train, au=np.ones_like(data.train.au)))
    with pytest.raises(ValueError, match="no pair to learn from"):
        BatchLoader(recipe("M7"), flat, FRAMES, 1)
