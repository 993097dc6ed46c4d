from dataclasses import replace

import numpy as np
import pytest
import torch

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.face_table import FaceTable, empty_targets
from training.default_model.batch_mixer import BatchMaker, Source, balanced
from training.default_model.default_recipe import recipe as default_recipe
from training.default_model.recipe import Mix, Recipe, Schedule, net_from_json
from training.default_model.trainer import TrainLoop, class_weights
from training.methods.recipe_overrides import with_options
from training.models.affect_net import NetConfig
from training.models.mean_shape import MEAN_SHAPE_PX
from training.models.trunk import Stage, TrunkConfig

pytestmark = pytest.mark.train


TINY = NetConfig(
    TrunkConfig(8, (Stage("residual", 8, 1), Stage("fused", 16, 1), Stage("inverted", 16, 1))), node_width=8,
    embed_width=16, place_channels=4, place_width=16,
)  # fmt: skip
SCHEDULE = Schedule(steps=4, warmup_steps=1, rate=3e-3, small_px=64, small_until=0.5, save_every=2)


def made_up_faces(count: int = 12) -> FaceTable:
    random = np.random.default_rng(0)
    targets = empty_targets(count)
    targets["landmarks_xy"] = np.repeat(MEAN_SHAPE_PX[None], count, axis=0)
    for name in ("landmark_weight", "pose_weight", "expression_weight", "va_weight", "au_weight"):
        targets[name][:] = 1
    targets["expression"] = np.eye(len(EXPRESSION_NAMES), dtype=np.float32)[
        random.integers(0, 7, count)
    ]
    targets["au"] = (random.random((count, 12)) < 0.4).astype(np.float32)
    return FaceTable(
        "made up", random.integers(0, 256, (count, 112, 112, 3)).astype(np.uint8), **targets
    )


def loop(folder, schedule: Schedule = SCHEDULE) -> TrainLoop:
    faces = made_up_faces()
    batches = BatchMaker(
        [Source(faces, 8, np.full(len(faces), 1 / len(faces)))], 2, 1, Recipe("tiny", TINY).jitter
    )
    recipe = Recipe("tiny", TINY, mix=Mix(no_face=2), schedule=schedule)
    return TrainLoop(recipe, batches, folder, torch.ones(7))


def test_steps_on_one_batch_lower_the_loss(tmp_path):
    training = loop(tmp_path, replace(SCHEDULE, steps=40, small_until=0.0))
    batch = training._batches.make(0, 112)
    training._batches.make = lambda step, size: batch  # type: ignore[method-assign]
    values = [training.train_step()["loss"] for _ in range(12)]
    assert np.isfinite(values).all()
    assert np.mean(values[-3:]) < 0.9 * np.mean(values[:3])


def test_a_resumed_run_ends_like_an_unbroken_one(tmp_path):
    whole = loop(tmp_path / "whole")
    whole.run()
    part = loop(tmp_path / "part")
    part._folder.mkdir()
    for _ in range(2):
        part.train_step()
    part.save()
    again = loop(tmp_path / "part")
    assert again.resume()
    assert again.step == 2
    again.run()
    for name, value in whole.ema.state_dict().items():
        assert torch.equal(value, again.ema.state_dict()[name]), name


def test_no_saved_state_is_no_resume(tmp_path):
    assert not loop(tmp_path / "nothing").resume()


def test_crops_beside_faces_teach_nothing_but_that(tmp_path):
    batch = loop(tmp_path)._batches.make(5, 112)
    beside = batch["face"] == 0
    assert int(beside.sum()) == 2
    for name in ("landmark_weight", "pose_weight", "expression_weight", "va_weight", "au_weight"):
        assert not batch[name][beside].any()


def test_rare_expressions_are_drawn_more_often():
    expression = np.eye(7, dtype=np.float32)[[0] * 90 + [2] * 10]
    even, lifted = balanced(expression, 0.0), balanced(expression, 1.0)
    assert even[90:].sum() == pytest.approx(0.1)
    assert lifted[90:].sum() == pytest.approx(0.5, abs=0.01)
    weights = class_weights(expression, np.ones(100, np.float32))
    assert weights[2] > weights[0]


def test_options_reach_their_field_and_unknown_ones_name_the_right_ones():
    assert with_options(default_recipe(), ["schedule.steps=7", "losses.au=2"]).schedule.steps == 7
    with pytest.raises(ValueError, match=r"warmup_steps"):
        with_options(default_recipe(), ["schedule.epochs=7"])
    with pytest.raises(ValueError, match=r"must be int"):
        with_options(default_recipe(), ["schedule.steps=many"])
    with pytest.raises(ValueError, match=r"name=value"):
        with_options(default_recipe(), ["schedule.steps"])


def test_a_network_comes_back_from_its_recipe_s_json():
    import json

    recipe = default_recipe()
    assert net_from_json(json.loads(recipe.to_json())["net"]) == recipe.net
