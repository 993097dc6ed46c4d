"""Trainer: a resumed run equals an uninterrupted one, and broken input costs no training time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.training.methods.network_cases import SMALL, small_net
from training.engine.checkpoint import TrainingError
from training.engine.ema import EmaModel
from training.engine.trainer import ConstrainedLayer, Trainer, TrainerConfig
from training.methods.objectives import mean_teacher, supervised
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import find_recipe
from training.models.audio.ftdnn import Ftdnn

pytestmark = pytest.mark.train


class FaceBatches:
    """Batches that depend on the step alone; every third sample has no label."""

    steps_per_epoch = 4

    def __init__(
        self, name: str, size_px: int = 48, nan_step: int | None = None, count: int = 6
    ) -> None:
        self.name, self.size_px, self.nan_step, self.count = name, size_px, nan_step, count

    def get(self, step: int) -> Sequence[Mapping[str, Tensor]]:
        generator = torch.Generator().manual_seed(step)
        n = self.count
        kind = torch.arange(n) % 2
        channels = (8, 4) if self.name == "clip" else (3,)
        shape = (n, *channels, self.size_px, self.size_px)
        images = torch.randn(shape, generator=generator) * 0.5
        images = images + kind.reshape(-1, *[1] * (len(shape) - 1))
        if self.nan_step == step:
            images[1].view(-1)[7] = float("nan")
        known = (torch.arange(n) % 3 > 0).float()
        return [
            {
                self.name: images,
                "au": kind[:, None].expand(n, 12).float(),
                "au_mask": known[:, None].expand(n, 12),
                "expression": kind,
                "expression_mask": known,
                "va": torch.rand(n, 2, generator=generator),
                "va_mask": known,
            }
        ]


def small_recipe(name: str = "incomplete_labels", *overrides: str) -> MethodRecipe:
    return find_recipe(name, "compact", [*SMALL[name], "epochs=3", *overrides])


def frame_trainer(
    folder: Path, seed: int = 0, batches: FaceBatches | None = None, **config: Any
) -> Trainer:
    recipe = small_recipe()
    return Trainer(
        small_net("incomplete_labels", seed=seed),
        supervised(recipe),
        batches or FaceBatches("crops"),
        recipe,
        TrainerConfig(folder, **config),
    )


def clip_trainer(folder: Path, seed: int = 0) -> Trainer:
    net = small_net("mean_teacher", "net.audio=false", seed=seed)
    ema = EmaModel(net)
    recipe = small_recipe("mean_teacher", "net.audio=false")
    batches = FaceBatches("clip", 32)
    config = TrainerConfig(folder)
    return Trainer(net, mean_teacher(recipe, ema), batches, recipe, config, ema=ema)


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def assert_equal_weights(first: nn.Module, second: nn.Module) -> None:
    expected = weights(second)
    for name, value in weights(first).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("build", [frame_trainer, clip_trainer])
def test_trainer_resumed_after_kill_equals_uninterrupted_run(
    build: Callable[..., Trainer], tmp_path: Path
) -> None:
    uninterrupted = build(tmp_path / "uninterrupted")
    uninterrupted.run()
    killed = build(tmp_path / "killed")
    for _ in range(5):
        killed.train_step()
    killed.save()
    killed.train_step()  # lost with the process
    resumed = build(tmp_path / "killed", seed=9)
    assert resumed.resume()
    assert resumed.step == 5
    resumed.run()
    assert resumed.step == uninterrupted.step == 12
    assert_equal_weights(uninterrupted.net, resumed.net)
    if uninterrupted.ema is not None:
        assert resumed.ema is not None
        assert_equal_weights(uninterrupted.ema.net, resumed.ema.net)
    saved = load_file(tmp_path / "killed" / "weights.safetensors")
    for name, value in weights(uninterrupted.net).items():
        assert torch.equal(value, saved[name])


def test_run_lowers_loss_and_calls_after_epoch(tmp_path: Path) -> None:
    trainer = frame_trainer(tmp_path)
    epochs: list[int] = []
    before = trainer.train_step()["loss"]
    trainer.run(epochs.append)
    assert epochs == [1, 2, 3]
    assert trainer.train_step()["loss"] < before


def test_resume_without_saved_state_returns_false(tmp_path: Path) -> None:
    assert frame_trainer(tmp_path).resume() is False


def test_resume_with_state_of_another_recipe_raises(tmp_path: Path) -> None:
    clip_trainer(tmp_path).save()
    other = frame_trainer(tmp_path)
    before = weights(other.net)
    with pytest.raises(
        TrainingError,
        match=r"of another run: .*net.*mean teacher compact there, M3 compact here",
    ):
        other.resume()
    for name, value in weights(other.net).items():
        assert torch.equal(value, before[name])


def test_resume_with_changed_recipe_works_if_allowed(tmp_path: Path) -> None:
    first = frame_trainer(tmp_path)
    first.train_step()
    first.save()
    changed = frame_trainer(tmp_path, steps=7, allow_changed_recipe=True)
    assert changed.resume()
    assert (changed.step, changed.steps) == (1, 7)


@pytest.mark.parametrize("content", [b"", b"no state at all", None])
def test_resume_with_damaged_state_raises(content: bytes | None, tmp_path: Path) -> None:
    trainer = frame_trainer(tmp_path)
    trainer.save()
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(TrainingError, match=r"cannot be read .* delete it to start anew"):
        trainer.resume()


def test_run_with_nan_image_leaves_sample_out(tmp_path: Path) -> None:
    trainer = frame_trainer(tmp_path, batches=FaceBatches("crops", nan_step=1))
    trainer.run()
    assert trainer.left_out == 1
    assert all(torch.isfinite(value).all() for value in trainer.net.state_dict().values())


def test_train_step_with_batch_of_one_leaves_it_out(tmp_path: Path) -> None:
    trainer = frame_trainer(tmp_path, batches=FaceBatches("crops", count=1))
    assert trainer.train_step() == {}
    assert (trainer.left_out, trainer.step) == (1, 1)


def test_train_step_with_infinite_loss_raises(tmp_path: Path) -> None:
    trainer = frame_trainer(tmp_path)
    with torch.no_grad():
        next(trainer.net.parameters()).fill_(float("inf"))
    with pytest.raises(TrainingError, match="step 0: the loss is not finite"):
        trainer.train_step()


def test_train_step_in_bfloat16_lowers_loss_and_keeps_float32_weights(tmp_path: Path) -> None:
    trainer = frame_trainer(tmp_path, precision="bfloat16")
    losses = [trainer.train_step()["loss"] for _ in range(10)]
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in trainer.net.parameters())


def test_init_from_run_starts_with_its_ema_weights(tmp_path: Path) -> None:
    first = clip_trainer(tmp_path / "first")
    first.train_step()
    first.save()
    second = clip_trainer(tmp_path / "second", seed=3)
    second.init_from_run(tmp_path / "first")
    assert first.ema is not None
    assert second.ema is not None
    assert_equal_weights(second.net, first.ema.net)
    assert_equal_weights(second.ema.net, first.ema.net)
    assert len(second.started_from) == 64


def test_config_with_unknown_or_impossible_precision_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, float16"):
        TrainerConfig(tmp_path, precision="fp8")
    with pytest.raises(ValueError, match="float16 needs a CUDA device"):
        TrainerConfig(tmp_path, precision="float16")


def test_ftdnn_is_a_constrained_layer() -> None:
    assert callable(Ftdnn.constrain)
    assert issubclass(Ftdnn, ConstrainedLayer)


class OneWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))


@pytest.mark.parametrize(("limit", "step"), [("0", 3.0), ("2", 0.2)])
def test_gradients_are_clipped_only_to_a_given_norm(
    limit: str, step: float, tmp_path: Path
) -> None:
    """A gradient of 30 at a rate of 0.1."""
    recipe = small_recipe(
        "incomplete_labels",
        "optimizer.kind=sgd",
        "optimizer.rate=0.1",
        "optimizer.schedule=constant",
        f"optimizer.max_gradient_norm={limit}",
    )
    net = OneWeight()
    trainer = Trainer(
        net,
        lambda net, batch, epoch: {"loss": -30 * net.weight.sum()},
        FaceBatches("crops", 4),
        recipe,
        TrainerConfig(tmp_path, steps=1),
    )
    trainer.train_step()
    assert float(net.weight.detach()) == pytest.approx(step, rel=1e-4)


class Mean(nn.Module):
    """A weight for each input, without batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))


def test_accumulated_parts_give_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    sizes: list[int] = []

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        sizes.append(len(batch["crops"]))
        return {"loss": (batch["crops"].mean(dim=(2, 3)) @ net.weight - 1).square().mean()}

    weights, losses = [], []
    for parts in (1, 3, 40):
        net = Mean()
        recipe = small_recipe("incomplete_labels", "optimizer.kind=sgd", "optimizer.rate=0.1")
        config = TrainerConfig(tmp_path / str(parts), steps=3, accumulate=parts)
        trainer = Trainer(net, objective, FaceBatches("crops", 4, count=8), recipe, config)
        losses.append([trainer.train_step()["loss"] for _ in range(3)])
        weights.append(net.weight.detach().clone())
    assert sizes == [8] * 3 + [3, 3, 2] * 3 + [2, 2, 2, 2] * 3
    for k in (1, 2):
        assert torch.allclose(weights[k], weights[0], atol=1e-7)
        assert losses[k] == pytest.approx(losses[0], rel=1e-5)
    assert weights[0].abs().max() > 0.01
