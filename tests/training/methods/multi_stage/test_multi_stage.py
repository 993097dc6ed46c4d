"""Multi-stage training for a few steps on rendered frames: each stage trains only its parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.ablations.full_ground_truth import read_full_ground_truth
from training.engine.trainer import Trainer, TrainerConfig
from training.methods.data import MethodData, open_method_data
from training.methods.multi_stage import fill_labels, identity_prior
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.multi_stage.pairwise_stages import MappingFrames, measure
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import find_recipe
from training.models.networks.build_network import build_network
from training.models.networks.pairwise_intensity import PairwiseIntensity

pytestmark = [pytest.mark.train, pytest.mark.shared]

SIZE = 32
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(renderwild_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> MethodData:
    """Tiny RenderWild with labels of all tasks; half of the training frames lack the expression."""
    cache = tmp_path_factory.mktemp("cache")
    truth = read_full_ground_truth(renderwild_tiny, cache)
    opened = open_method_data(renderwild_tiny, SIZE, False, cache, progress=False)
    train = truth.select(truth.is_train).table
    train = replace(train, expression_mask=train.expression_mask & (np.arange(len(train)) % 2 == 0))
    return replace(opened, train=train, validation=truth.select(~truth.is_train).table)


def compact(method: str, *options: str) -> MethodRecipe:
    return find_recipe(method, "compact", [f"net.size_px={SIZE}", "batch=8", *options])


def run(recipe: MethodRecipe, data: MethodData, folder: Path, steps: int = 3) -> Weights:
    train = multi_stage_training_for(recipe)
    assert train is not None
    train(recipe, data, TrainerConfig(folder, resume=True, steps=steps))
    return weights(folder)


def weights(folder: Path) -> Weights:
    return load_file(folder / "weights.safetensors")


def under(net_weights: Weights, prefix: str) -> Weights:
    return {
        name[len(prefix) :]: value for name, value in net_weights.items() if name.startswith(prefix)
    }


def equal(first: Weights, second: Weights) -> bool:
    assert first.keys() == second.keys()
    assert first
    return all(torch.equal(first[name], second[name]) for name in first)


def test_multi_stage_training_for_single_stage_recipe_is_none() -> None:
    assert all(
        multi_stage_training_for(find_recipe(method)) is None for method in ("M3", "M4", "M5")
    )
    assert all(
        multi_stage_training_for(find_recipe(method)) is not None
        for method in ("M1", "M2", "M6", "M7", "M8")
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
    recipe = compact("M1", "net.embedding=16", "first_stage.batch=4")
    trained = run(recipe, data, tmp_path)
    learned = under(weights(tmp_path / "identity"), "face.")
    assert equal(under(trained, "encoder.identity."), learned)
    assert not equal(under(trained, "encoder.face."), learned), "the face branch is trained further"
    record = json.loads((tmp_path / "identity" / "identity.json").read_text())
    assert record["people"] == len(set(data.train.groups))
    alone = run(
        compact("M1", "net.embedding=16", "first_stage.batch=4", "net.subtract_identity=false"),
        data,
        tmp_path / "alone",
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

    training_tables = {}
    original = pseudo_label_pass.train_method

    def spy(
        recipe: MethodRecipe, data: MethodData, config: TrainerConfig, **options: object
    ) -> object:
        training_tables[config.folder.name] = data.train
        return original(recipe, data, config, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pseudo_label_pass, "train_method", spy)
    run(compact("M6", "net.width=8"), data, tmp_path / "joint")
    assert set(training_tables) == {"single_au", "single_expression", "single_va", "joint"}
    assert training_tables["single_expression"].expression_mask.all()
    assert not training_tables["single_expression"].au_mask.any()
    filled, known = training_tables["joint"], data.train.expression_mask
    assert filled.masks.all()
    assert (filled.expression == data.train.expression)[known].all()
    assert np.array_equal(filled.au, data.train.au)
    assert set(filled.expression[~known].tolist()) <= set(range(7))


def test_pairwise_stages_freeze_earlier_stages(data: MethodData, tmp_path: Path) -> None:
    recipe = compact("M7", "net.window=20", "net.hidden=8", "sampling.pairs=48")
    trained = run(recipe, data, tmp_path)
    ordered, uncertain = weights(tmp_path / "ranking"), weights(tmp_path / "uncertainty")
    last = max(
        name
        for name in ordered
        if name.startswith("joint.") and name.endswith("weight") and ordered[name].ndim == 2
    )
    assert torch.equal(ordered[last][:12], uncertain[last][:12]), (
        "uncertainty training keeps intensities"
    )
    assert not torch.equal(ordered[last][12:], uncertain[last][12:])
    assert equal(under(trained, "joint."), under(uncertain, "joint.")), (
        "training of the mapping keeps both"
    )
    assert not equal(under(trained, "mapping."), under(uncertain, "mapping."))
    assert (trained["high"] > trained["low"]).all()
    plain = run(
        replace(recipe, net=replace(recipe.net, uncertainty=False)), data, tmp_path / "sure"
    )
    assert plain.keys() == trained.keys()
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
    expected = net.features_of(intensity, confidence)[0].half().float()
    matches = (batch["features"][:, None] == expected[None]).flatten(2).all(dim=2)
    assert matches.any(), "a batch of all videos holds some frame of the first"
    k, t = (int(index) for index in matches.nonzero()[0])
    assert np.array_equal(batch["au"][k].numpy(), data.train.au[order[t]])
    assert (frames._weight > 0).all()
    balance = torch.stack([(frames._weight * (frames._au == side)).sum(dim=0) for side in (0, 1)])
    both = (frames._au.sum(dim=0) > 0.01 * len(frames._au)) & (frames._au.mean(dim=0) < 0.99)
    assert torch.allclose(balance[0][both], balance[1][both], rtol=1e-4), (
        "present and absent frames weigh the same"
    )


def test_multi_database_stages_distill_then_train_grus(data: MethodData, tmp_path: Path) -> None:
    options = ("net.window=8", "sampling.stride=4", "sampling.drop_gaps=false")
    trained = run(compact("M8", *options), data, tmp_path, steps=4)
    student, teacher = weights(tmp_path / "student_frames"), weights(tmp_path / "teacher_frames")
    assert not equal(student, teacher)
    assert equal({name: trained[name] for name in student}, student), (
        "trunk and narrow heads are frozen under the GRUs"
    )
    assert under(trained, "grus.")
    assert not equal(under(trained, "grus."), under(weights(tmp_path / "teacher_windows"), "grus."))
    plain = run(compact("M8", "targets=ignore", *options), data, tmp_path / "plain", steps=4)
    assert equal({name: plain[name] for name in teacher}, teacher), (
        "without distillation the teacher's frame network is kept"
    )
    frames = run(compact("M8", "net.recurrence=none"), data, tmp_path / "frames", steps=4)
    assert equal(frames, student)


def test_frames_then_sequences_trains_each_stage_by_its_own_losses(
    data: MethodData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.methods.multi_stage import frames_then_sequences

    trained, losses = {}, {}
    original, train_step = frames_then_sequences.train_method, Trainer.train_step

    def step(trainer: Trainer) -> dict[str, float]:
        values = train_step(trainer)
        losses.setdefault(trainer.config.folder.name, set()).update(values.keys() - {"loss"})
        return values

    monkeypatch.setattr(Trainer, "train_step", step)

    def spy(recipe: MethodRecipe, data: MethodData, config: TrainerConfig, **options: Any) -> Any:
        trained[config.folder.name] = recipe
        return original(recipe, data, config, **options)

    monkeypatch.setattr(frames_then_sequences, "train_method", spy)
    options = ("net.window=6", "net.audio=false", "net.sequence_trunk=small_resnet")
    sequence = run(compact("M2", "sampling.windows=2", *options), data, tmp_path / "sequence")
    assert [term.output for term in trained["frames"].losses] == [
        "expression_logit",
        "frame_au_logit",
    ]
    assert losses["sequence"] == {"shifted_bce:au_logit"}
    assert (trained["frames"].batch, trained["frames"].sampling.form) == (64, "frames")
    frames = weights(tmp_path / "sequence" / "frames")
    for part in ("trunk.", "sequence_trunk.", "frame_expression.", "frame_au."):
        assert equal(under(sequence, part), under(frames, part)), "frozen under the sequence"
    assert not equal(under(sequence, "encoder."), under(frames, "encoder."))
    start = build_network(trained["frames"].net).state_dict()
    name = "sequence_trunk.conv1.weight"
    assert not torch.equal(frames[name], start[name]), "frames' AUs train the sequence's trunk"


def test_pairwise_stages_keep_best_of_repeats(data: MethodData, tmp_path: Path) -> None:
    options = ("net.window=20", "net.hidden=8", "sampling.pairs=20", "sampling.repeats=2")
    recipe = compact("M7", "epochs=1", "net.uncertainty=false", *options)
    train = multi_stage_training_for(recipe)
    assert train is not None
    train(recipe, data, TrainerConfig(tmp_path, steps=2, keep_best=True))
    totals = {
        folder: json.loads((tmp_path / folder / "scores.json").read_text())["best"]["total"]
        for folder in ("ranking", "ranking_2")
    }
    best = max(totals, key=lambda folder: totals[folder])
    kept = load_file(tmp_path / "weights.safetensors")
    assert equal(under(kept, "joint."), under(weights(tmp_path / best), "joint."))


def test_multi_stage_training_resumed_skips_finished_stages(
    data: MethodData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the student stage: the teacher is not trained again, and the result is equal."""
    recipe = compact("M8", "net.recurrence=none")
    uninterrupted = run(recipe, data, tmp_path / "uninterrupted", steps=4)
    steps: list[str] = []
    plain = Trainer.train_step

    def counted(loop: Trainer) -> dict[str, float]:
        if len(steps) == 6:
            raise KeyboardInterrupt
        steps.append(loop.config.folder.name)
        return plain(loop)

    train = multi_stage_training_for(recipe)
    assert train is not None
    monkeypatch.setattr(Trainer, "train_step", counted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, TrainerConfig(tmp_path / "broken", resume=True, steps=4, save_every=1))
    assert steps == ["teacher_frames"] * 4 + ["broken"] * 2
    steps.clear()
    train(recipe, data, TrainerConfig(tmp_path / "broken", resume=True, steps=4))
    assert steps == ["broken"] * 2
    assert equal(uninterrupted, weights(tmp_path / "broken"))


def test_own_labels_of_sure_frames_are_trained_on_once_more(
    data: MethodData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    plain = identity_prior.train_method

    def train(recipe: MethodRecipe, data: MethodData, config: TrainerConfig, **more: Any) -> Any:
        seen.append((config.folder.name, int(data.train.expression_mask.sum())))
        return plain(recipe, data, config, **more)

    monkeypatch.setattr(identity_prior, "train_method", train)
    monkeypatch.setattr(fill_labels, "SURE_EXPRESSION", 0.0)
    chosen = compact(
        "M1", "prior.own_labels=true", "prior.triplets=none", "prior.identity=pretrained"
    )
    run(chosen, data, tmp_path / "run", steps=2)
    labeled = int(data.train.expression_mask.sum())
    assert seen[0] == ("labeled", labeled)
    assert seen[1] == ("run", len(data.train)), "every frame has an expression at confidence 0"
    first, second = weights(tmp_path / "run" / "labeled"), weights(tmp_path / "run")
    assert any(not torch.equal(value, second[name]) for name, value in first.items())
