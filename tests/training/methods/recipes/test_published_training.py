"""Published presets: constants of training as the papers and their code give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.methods.synthetic_faces import synthetic_data
from training.methods.batch_builder import InputSpec
from training.methods.build_sampler import build_sampler
from training.methods.objectives import teacher_view
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.methods.train_run import warn_of_chance
from training.models.cost import on_meta
from training.models.networks.build_network import build_network
from training.models.networks.pairwise_intensity import PairwiseIntensity

pytestmark = pytest.mark.train


@pytest.mark.parametrize("name", RECIPES)
def test_published_presets_do_not_clip_gradients_and_warn_without_weights(name: str) -> None:
    recipe = find_recipe(name)
    stages = [recipe.optimizer, *([recipe.first_stage.optimizer] if recipe.first_stage else [])]
    assert all(optimizer.max_gradient_norm == 0 for optimizer in stages)
    with pytest.warns(UserWarning, match="STARTS FROM RANDOM WEIGHTS"):
        warn_of_chance(recipe)


def test_multimodal_transformer_stages_have_their_optimizers_and_weights() -> None:
    recipe = find_recipe("M2")
    frames = recipe.first_stage
    assert frames is not None
    assert (frames.optimizer.kind, frames.optimizer.rate, frames.batch, frames.epochs) == (
        "sgd",
        1e-3,
        64,
        15,
    )
    assert (recipe.optimizer.rate, recipe.batch, recipe.sampling.stride) == (1e-2, 8, 10)
    weights = {term.output: term.options.get("positive_weight") for term in recipe.losses}
    assert weights["frame_au_logit"] == (1, 2, 1, 1, 1, 1, 1, 6, 6, 5, 1, 5)
    assert weights["au_logit"] == (1, 2, 1, 1, 1, 1, 1, 3, 3, 3, 1, 2)


def test_feature_pyramid_single_tasks_have_their_own_optimizer() -> None:
    stage = find_recipe("M6").first_stage
    assert stage is not None
    optimizer = stage.optimizer
    assert (optimizer.kind, optimizer.rate, optimizer.momentum, optimizer.weight_decay) == (
        "sgd",
        3e-4,
        0.9,
        1e-4,
    )
    assert (stage.epochs, stage.every, find_recipe("M6").sampling.va_every) == (20, 4, 5)


def test_patience_and_pairs_are_published_ones() -> None:
    assert find_recipe("M5").patience == 10
    assert find_recipe("M8").patience == 5
    sampling = find_recipe("M7").sampling
    assert (sampling.pairs, sampling.repeats) == (10_000, 5)


def test_pairwise_freezes_first_two_convolutions_of_every_network() -> None:
    net = on_meta(lambda: build_network(find_recipe("M7").net))
    assert isinstance(net, PairwiseIntensity)
    net.freeze_first_convolutions()
    assert len(net.networks()) == 24
    for network in net.networks():
        convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
        is_trained = [part.weight.requires_grad for part in convolutions]
        assert is_trained == [False] * 2 + [True] * 11


def test_multi_database_keeps_tenth_of_neutral_half_of_happy_and_sad() -> None:
    assert find_recipe("M8").sampling.keep_one_in == (10, 1, 1, 1, 2, 2, 1)
    data = synthetic_data({f"v{k}": 50 for k in range(8)}, size_px=32)
    recipe = find_recipe(
        "M8", overrides=["net.recurrence=none", "net.size_px=32", "sampling.weights=none"]
    )
    form = InputSpec("frames", 1, 32)
    steps = list(build_sampler(recipe, data.train, form, 1).steps(0))
    expression = np.concatenate(
        [part.rows for step in steps for part in step.parts if part.tasks == ("EXPR",)]
    )
    counts = np.bincount(data.train.expression, minlength=7)
    expected = np.ceil(counts / [10, 1, 1, 1, 2, 2, 1]).astype(int)
    drawn = np.bincount(data.train.expression[np.unique(expression)], minlength=7)
    assert drawn[0] <= expected[0] < counts[0]
    assert (drawn <= expected).all()
    va = [part.rows for step in steps for part in step.parts if part.tasks == ("VA",)]
    kept = np.unique(np.concatenate(va))
    assert set(((data.train.frame[kept] - 1) % 5).tolist()) == {0}, "every fifth frame of a video"


def test_teacher_view_changes_light_of_pictures_only() -> None:
    recipe = find_recipe("M5")
    torch.manual_seed(0)
    clip = torch.randn(6, 8, 4, 16, 16) * 0.3
    view = teacher_view(recipe, {"clip": clip, "mel": clip[:, 0, 0]})
    assert torch.equal(view["mel"], clip[:, 0, 0])
    assert torch.allclose(view["clip"][:, :, 3], clip[:, :, 3], atol=1e-6), "parts stay"
    mean, std = (
        torch.tensor((0.43216, 0.394666, 0.37645)),
        torch.tensor((0.22803, 0.22145, 0.216989)),
    )
    before = clip[:, :, :3] * std[:, None, None] + mean[:, None, None]
    after = view["clip"][:, :, :3] * std[:, None, None] + mean[:, None, None]
    for k in range(len(clip)):
        inside = ((after[k] > 0.01) & (after[k] < 0.99)).flatten()
        x, y = before[k].flatten()[inside].double(), after[k].flatten()[inside].double()
        slope = ((x - x.mean()) * (y - y.mean())).mean() / x.var(unbiased=False)
        assert (y - y.mean() - slope * (x - x.mean())).abs().max() < 1e-4, "one line for a clip"
        assert 0.8**2 <= float(slope) <= 1.2**2, "brightness times contrast, each within 20 %"
    slopes = (after.flatten(1).std(dim=1) / before.flatten(1).std(dim=1)).tolist()
    assert len({round(slope, 4) for slope in slopes}) == len(clip), "drawn for each clip"


def test_warn_of_chance_is_silent_with_weights_and_for_compact(
    recwarn: pytest.WarningsRecorder, tmp_path: Path
) -> None:
    warn_of_chance(find_recipe("M3", overrides=[f"trunk_weights={tmp_path}"]))
    warn_of_chance(find_recipe("M3", "compact"))
    assert not recwarn.list
