"""Every driver on real frames for a few steps: each stage changes what it should and leaves alone
what it should.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.ablations.full_ground_truth import read_whole_truth
from training.engine.trainer import Trainer, TrainerConfig
from training.methods.data import MethodData, open_method_data
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.multi_stage.pairwise_stages import MappingFrames, measure
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import find_recipe
from training.models.networks.pairwise_intensity import PairwiseIntensity

pytestmark = [pytest.mark.train, pytest.mark.shared]

SIZE = 32
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(renderwild_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> MethodData:
    """The tiny RenderWild with labels of all tasks on its training frames, every other one without
    its expression.
    """
    cache = tmp_path_factory.mktemp("cache")
    truth = read_whole_truth(renderwild_tiny, cache)
    opened = open_method_data(renderwild_tiny, SIZE, False, cache, progress=False)
    train = truth.select(truth.is_train).table
    train = replace(train, expression_mask=train.expression_mask & (np.arange(len(train)) % 2 == 0))
    return replace(opened, train=train, validation=truth.select(~truth.is_train).table)


def compact(method: str, *options: str) -> MethodRecipe:
    return find_recipe(method, "compact", [f"net.size_px={SIZE}", "batch=8", *options])


def run(recipe: MethodRecipe, data: MethodData, folder: Path, steps: int = 3) -> Weights:
    driver = multi_stage_training_for(recipe)
    assert driver is not None
    driver(recipe, data, TrainerConfig(folder, resume=True, steps=steps))
    return weights(folder)


def weights(folder: Path) -> Weights:
    return load_file(folder / "weights.safetensors")


def under(found: Weights, prefix: str) -> Weights:
    return {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}


def equal(first: Weights, second: Weights) -> bool:
    assert first.keys() == second.keys()
    assert first
    return all(torch.equal(first[name], second[name]) for name in first)


def test_multi_stage_training_for_single_stage_recipe_is_none() -> None:
    assert all(
        multi_stage_training_for(find_recipe(method)) is None for method in ("M2", "M3", "M4", "M5")
    )
    assert all(
        multi_stage_training_for(find_recipe(method)) is not None
        for method in ("M1", "M6", "M7", "M8")
    )
    assert multi_stage_training_for(find_recipe("M6", overrides=["targets=ignore"])) is None
    assert multi_stage_training_for(find_recipe("M7", overrides=["net.mapping=false"])) is None
    assert (
        multi_stage_training_for(
            find_recipe("M8", overrides=["targets=ignore", "net.recurrence=none"])
        )
        is None
    )


def test_identity_prior_freezes_identity_branch_and_initializes_face_branch(
    data: MethodData, tmp_path: Path
) -> None:
    recipe = compact("M1", "net.embedding=16")
    made = run(recipe, data, tmp_path)
    learned = under(weights(tmp_path / "identity"), "face.")
    assert equal(under(made, "encoder.identity."), learned)
    assert not equal(under(made, "encoder.face."), learned), "the face branch goes on from there"
    said = json.loads((tmp_path / "identity" / "identity.json").read_text())
    assert said["people"] == len(set(data.train.groups))
    alone = run(
        compact("M1", "net.embedding=16", "net.subtract_identity=false"), data, tmp_path / "alone"
    )
    assert not under(alone, "encoder.identity.")


def test_identity_prior_of_one_person_raises(data: MethodData, tmp_path: Path) -> None:
    one = data.train.select(data.train.video == 0)
    with pytest.raises(ValueError, match="at least two people"):
        run(compact("M1"), replace(data, train=one), tmp_path)


def test_pseudo_label_pass_fills_only_missing_labels(
    data: MethodData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.methods.multi_stage import pseudo_label_pass

    seen = {}
    plain = pseudo_label_pass.train_method

    def spy(
        recipe: MethodRecipe, given: MethodData, config: TrainerConfig, **options: object
    ) -> object:
        seen[config.folder.name] = given.train
        return plain(recipe, given, config, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pseudo_label_pass, "train_method", spy)
    run(compact("M6", "net.width=8"), data, tmp_path / "joint")
    assert set(seen) == {"single_au", "single_expression", "single_va", "joint"}
    assert seen["single_expression"].expression_mask.all()
    assert not seen["single_expression"].au_mask.any()
    filled, known = seen["joint"], data.train.expression_mask
    assert filled.masks.all()
    assert (filled.expression == data.train.expression)[known].all()
    assert np.array_equal(filled.au, data.train.au)
    assert set(filled.expression[~known].tolist()) <= set(range(7))


def test_pairwise_stages_freeze_earlier_stages(data: MethodData, tmp_path: Path) -> None:
    recipe = compact("M7", "net.window=20", "net.hidden=8", "sampling.pairs=48")
    made = run(recipe, data, tmp_path)
    ordered, doubted = weights(tmp_path / "ranking"), weights(tmp_path / "uncertainty")
    last = max(
        name
        for name in ordered
        if name.startswith("joint.") and name.endswith("weight") and ordered[name].ndim == 2
    )
    assert torch.equal(ordered[last][:12], doubted[last][:12]), (
        "doubt leaves intensities as they are"
    )
    assert not torch.equal(ordered[last][12:], doubted[last][12:])
    assert equal(under(made, "joint."), under(doubted, "joint.")), (
        "the mapping leaves both as they are"
    )
    assert not equal(under(made, "mapping."), under(doubted, "mapping."))
    assert (made["high"] > made["low"]).all()
    plain = run(
        replace(recipe, net=replace(recipe.net, uncertainty=False)), data, tmp_path / "sure"
    )
    assert plain.keys() == made.keys()
    assert not (tmp_path / "sure" / "uncertainty").exists()


def test_mapping_frames_hold_network_features(data: MethodData) -> None:
    recipe = compact("M7", "net.causal=false", "net.window=20", "net.hidden=8")
    torch.manual_seed(1)
    net = PairwiseIntensity(recipe.net).eval()
    raw, log_sigma = measure(net, recipe, data, data.train)
    net.fit_ranges(raw, log_sigma)
    frames = MappingFrames(net, data.train, net.scaled(raw, log_sigma), seed=1)
    (batch,) = frames.get(0)
    assert batch["features"].shape[1:] == (12, 4 * 20 + 21)
    rows = np.flatnonzero(data.train.video == 0)
    order = rows[np.argsort(data.train.frame[rows])]
    intensity, confidence = (values[order][None] for values in net.scaled(raw, log_sigma))
    wanted = net.features_of(intensity, confidence)[0].half().float()
    found = (batch["features"][:, None] == wanted[None]).flatten(2).all(dim=2)
    assert found.any(), "a batch of all videos holds some frame of the first"
    k, t = (int(place) for place in found.nonzero()[0])
    assert np.array_equal(batch["au"][k].numpy(), data.train.au[order[t]])
    assert (frames._weight > 0).all()
    balance = torch.stack([(frames._weight * (frames._au == side)).sum(dim=0) for side in (0, 1)])
    both = (frames._au.sum(dim=0) > 0.01 * len(frames._au)) & (frames._au.mean(dim=0) < 0.99)
    assert torch.allclose(balance[0][both], balance[1][both], rtol=1e-4), (
        "present and absent frames weigh the same"
    )


def test_multi_database_stages_distill_then_train_grus(data: MethodData, tmp_path: Path) -> None:
    options = ("net.window=8", "sampling.stride=4", "sampling.drop_gaps=false")
    made = run(compact("M8", *options), data, tmp_path, steps=4)
    student, teacher = weights(tmp_path / "student_frames"), weights(tmp_path / "teacher_frames")
    assert not equal(student, teacher)
    assert equal({name: made[name] for name in student}, student), (
        "trunk and narrow heads are frozen under the GRUs"
    )
    assert under(made, "grus.")
    assert not equal(under(made, "grus."), under(weights(tmp_path / "teacher_windows"), "grus."))
    plain = run(compact("M8", "targets=ignore", *options), data, tmp_path / "plain", steps=4)
    assert equal({name: plain[name] for name in teacher}, teacher), (
        "without distillation the teacher's own frames stay"
    )
    frames = run(compact("M8", "net.recurrence=none"), data, tmp_path / "frames", steps=4)
    assert equal(frames, student)


def test_multi_stage_training_resumed_skips_finished_stages(
    data: MethodData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the student's stage: the teacher is not trained again and the end is the same."""
    recipe = compact("M8", "net.recurrence=none")
    whole = run(recipe, data, tmp_path / "whole", steps=4)
    steps: list[str] = []
    plain = Trainer.train_step

    def counted(loop: Trainer) -> dict[str, float]:
        if len(steps) == 6:
            raise KeyboardInterrupt
        steps.append(loop.config.folder.name)
        return plain(loop)

    driver = multi_stage_training_for(recipe)
    assert driver is not None
    monkeypatch.setattr(Trainer, "train_step", counted)
    with pytest.raises(KeyboardInterrupt):
        driver(recipe, data, TrainerConfig(tmp_path / "broken", resume=True, steps=4, save_every=1))
    assert steps == ["teacher_frames"] * 4 + ["broken"] * 2
    steps.clear()
    driver(recipe, data, TrainerConfig(tmp_path / "broken", resume=True, steps=4))
    assert steps == ["broken"] * 2
    assert equal(whole, weights(tmp_path / "broken"))
