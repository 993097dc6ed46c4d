"""Trainer of the default model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.default_model.synthetic_faces import SCHEDULE, tiny_mixer, tiny_trainer
from training.default_model.default_recipe import recipe as default_recipe
from training.default_model.recipe import net_from_json
from training.engine.recipe_overrides import apply_overrides

pytestmark = pytest.mark.train


class RepeatedBatch:
    """One batch at every step."""

    steps_per_epoch = 40

    def __init__(self) -> None:
        self.batch = tiny_mixer().build(0, 112)

    def get(self, step: int) -> Sequence[dict[str, Tensor]]:
        return [self.batch]


def test_train_step_on_one_batch_lowers_loss(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, replace(SCHEDULE, steps=40, small_until=0.0))
    trainer.batches = RepeatedBatch()
    losses = [trainer.train_step()["loss"] for _ in range(12)]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums over several threads are not reproducible bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("workers", [0, 1])
def test_trainer_resumed_equals_uninterrupted_run(
    workers: int, tmp_path: Path, one_thread: None
) -> None:
    uninterrupted = tiny_trainer(tmp_path / "uninterrupted")
    uninterrupted.run()
    stopped = tiny_trainer(tmp_path / "stopped")
    for _ in range(2):
        stopped.train_step()
    stopped.save()
    resumed = tiny_trainer(tmp_path / "stopped", replace(SCHEDULE, batch_workers=workers))
    assert resumed.resume()
    assert resumed.step == 2
    resumed.run()
    assert uninterrupted.ema is not None
    assert resumed.ema is not None
    for name, value in uninterrupted.ema.net.state_dict().items():
        assert torch.equal(value, resumed.ema.net.state_dict()[name]), name


def test_resume_without_saved_state_returns_false(tmp_path: Path) -> None:
    assert not tiny_trainer(tmp_path / "nothing").resume()


def test_apply_overrides_sets_fields_and_names_known_ones() -> None:
    changed = apply_overrides(default_recipe(), ["schedule.steps=7", "losses.au=2"])
    assert changed.schedule.steps == 7
    with pytest.raises(ValueError, match=r"small_until"):
        apply_overrides(default_recipe(), ["schedule.epochs=7"])
    with pytest.raises(ValueError, match=r"must be int"):
        apply_overrides(default_recipe(), ["schedule.steps=many"])
    with pytest.raises(ValueError, match=r"name=value"):
        apply_overrides(default_recipe(), ["schedule.steps"])


def test_net_from_json_restores_the_recipes_network() -> None:
    recipe = default_recipe()
    assert net_from_json(json.loads(recipe.to_json())["net"]) == recipe.net
