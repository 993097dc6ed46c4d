"""The loop: a resumed run is an unbroken one, and what is broken costs no training time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.training.methods.network_cases import SMALL, small_net
from training.methods.ema_teacher import Teacher
from training.methods.objectives import from_labels, with_moving_teacher
from training.methods.recipe import Recipe
from training.methods.recipe_lookup import find_recipe
from training.methods.trainer import MethodLoop, TrainingError

pytestmark = pytest.mark.train


class Faces:
    """Batches out of a step's number; every third sample has no label."""

    steps_per_epoch = 4

    def __init__(self, name: str, size: int = 48, spoil: int | None = None, count: int = 6) -> None:
        self.name, self.size, self.spoil, self.count = name, size, spoil, count

    def make(self, step: int) -> Sequence[Mapping[str, Tensor]]:
        draw = torch.Generator().manual_seed(step)
        n = self.count
        kind = torch.arange(n) % 2
        shape = (
            (n, 8, 4, self.size, self.size) if self.name == "clip" else (n, 3, self.size, self.size)
        )
        images = torch.randn(shape, generator=draw) * 0.5 + kind.reshape(
            -1, *[1] * (len(shape) - 1)
        )
        if self.spoil == step:
            images[1].view(-1)[7] = float("nan")
        known = (torch.arange(n) % 3 > 0).float()
        return [{
            self.name: images, "au": kind[:, None].expand(n, 12).float(), "au_mask": known[:, None].expand(n, 12),
            "expression": kind, "expression_mask": known, "va": torch.rand(n, 2, generator=draw), "va_mask": known,
        }]  # fmt: skip


def recipe(name: str = "incomplete_labels", *options: str) -> Recipe:
    return find_recipe(name, "compact", [*SMALL[name], "epochs=3", *options])


def loop(folder: Path, seed: int = 0, source: Faces | None = None, **options: int) -> MethodLoop:
    return MethodLoop(
        recipe(),
        small_net("incomplete_labels", seed=seed),
        from_labels(recipe()),
        source or Faces("crops"),
        folder,
        **options,
    )


def clip_loop(folder: Path, seed: int = 0) -> MethodLoop:
    name = "mean_teacher"
    net = small_net(name, "net.audio=false", seed=seed)
    teacher = Teacher(net)
    chosen = recipe(name, "net.audio=false")
    return MethodLoop(
        chosen, net, with_moving_teacher(chosen, teacher), Faces("clip", 32), folder, teacher
    )


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


@pytest.mark.parametrize("make", [loop, clip_loop])
def test_a_resumed_run_is_an_unbroken_one(make: object, tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")  # type: ignore[operator]
    whole.run()
    first = make(tmp_path / "broken")  # type: ignore[operator]
    for _ in range(5):
        first.train_step()
    first.save()
    first.train_step()  # lost with the process
    second = make(tmp_path / "broken", seed=9)  # type: ignore[operator]
    assert second.resume()
    assert second.step == 5
    second.run()
    assert second.step == whole.step == 12
    for one, two in (
        (whole.net, second.net),
        *([(whole.teacher.net, second.teacher.net)] if whole.teacher else []),
    ):
        theirs = weights(two)
        assert all(torch.equal(value, theirs[name]) for name, value in weights(one).items())
    saved = load_file(tmp_path / "broken" / "weights.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in weights(whole.net).items())


def test_it_learns_and_tells_each_epoch(tmp_path: Path) -> None:
    trained, epochs = loop(tmp_path), []
    before = trained.train_step()["loss"]
    trained.run(epochs.append)
    assert epochs == [1, 2, 3]
    assert trained.train_step()["loss"] < before


def test_nothing_saved_is_nothing_to_resume(tmp_path: Path) -> None:
    assert loop(tmp_path).resume() is False


def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    clip_loop(tmp_path).save()
    other = loop(tmp_path)
    before = weights(other.net)
    with pytest.raises(
        TrainingError, match=r"of another run: .*'net'.*M5 compact there, M3 compact here"
    ):
        other.resume()
    assert all(torch.equal(value, before[name]) for name, value in weights(other.net).items())


@pytest.mark.parametrize("content", [b"", b"nothing of a state", None])
def test_a_broken_state_is_told(content: bytes | None, tmp_path: Path) -> None:
    saved = loop(tmp_path)
    saved.save()
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(TrainingError, match=r"cannot be read .* delete it to start anew"):
        saved.resume()


def test_a_image_with_nan_is_left_out_and_the_rest_is_learned(tmp_path: Path) -> None:
    trained = loop(tmp_path, source=Faces("crops", spoil=1))
    trained.run()
    assert trained.left_out == 1
    assert all(torch.isfinite(value).all() for value in trained.net.state_dict().values())


def test_a_batch_of_one_is_left_out(tmp_path: Path) -> None:
    trained = loop(tmp_path, source=Faces("crops", count=1))
    assert trained.train_step() == {}
    assert (trained.left_out, trained.step) == (1, 1)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    stopped = loop(tmp_path)
    with torch.no_grad():
        next(stopped.net.parameters()).fill_(float("inf"))
    with pytest.raises(TrainingError, match="step 0: the loss is not finite"):
        stopped.train_step()


def test_half_precision_learns_too(tmp_path: Path) -> None:
    net = small_net("incomplete_labels")
    trained = MethodLoop(
        recipe(), net, from_labels(recipe()), Faces("crops"), tmp_path, bfloat16=True
    )
    losses = [trained.train_step()["loss"] for _ in range(10)]
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in net.parameters())
