"""Training of recipes on a dataset: learning, resuming, and invalid input."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data
from training.datasets.sampling.step import Part
from training.engine.checkpoint import TrainingError
from training.engine.trainer import TrainerConfig
from training.losses.total_loss import total_loss
from training.methods.batch_loader import BatchLoader
from training.methods.data import MethodData
from training.methods.load_run import read_method_run
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.methods.train_method import load_initial_weights, train_method
from training.models.networks.build_network import build_network
from training.models.tasks.graph_relation import adjacency_from_labels

pytestmark = pytest.mark.train
DATA = synthetic_data(size_px=48)


def recipe(name: str, *options: str) -> MethodRecipe:
    few = ["batch=6", "epochs=2", "sampling.windows=2", "sampling.pairs=24", "sampling.every=2"]
    return find_recipe(name, "compact", [*SMALL[name], *few, *options])


def weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    other = weights(second)
    return all(torch.equal(value, other[name]) for name, value in weights(first).items())


@pytest.mark.parametrize("name", RECIPES)
def test_train_method_resumed_equals_uninterrupted_run(name: str, tmp_path: Path) -> None:
    chosen = recipe(name)
    uninterrupted = train_method(chosen, DATA, TrainerConfig(tmp_path / "uninterrupted", steps=5))
    train_method(chosen, DATA, TrainerConfig(tmp_path / "parts", steps=5), stop_at=2)
    resumed = train_method(chosen, DATA, TrainerConfig(tmp_path / "parts", steps=5, resume=True))
    assert equal(uninterrupted, resumed)
    fresh = train_method(chosen, DATA, TrainerConfig(tmp_path / "fresh", steps=1), stop_at=1)
    assert not equal(uninterrupted, fresh)
    predictions = method_predictions(uninterrupted, chosen, DATA.validation, DATA)
    assert predictions.known.all()
    loaded_recipe, loaded = read_method_run(tmp_path / "parts")
    assert loaded_recipe == chosen
    assert equal(loaded, uninterrupted)


def test_train_method_of_published_clips_resumes(tmp_path: Path) -> None:
    """Weights of 3D convolutions have five axes, unsupported by the channels-last layout."""
    chosen = recipe("mean_teacher", "net.clip=3d", "net.base=8")
    uninterrupted = train_method(chosen, DATA, TrainerConfig(tmp_path / "uninterrupted", steps=3))
    train_method(chosen, DATA, TrainerConfig(tmp_path / "parts", steps=3), stop_at=1)
    assert equal(
        uninterrupted,
        train_method(chosen, DATA, TrainerConfig(tmp_path / "parts", steps=3, resume=True)),
    )


def test_train_method_with_ema_teacher_trains_frame_network(tmp_path: Path) -> None:
    net = train_method(
        recipe("incomplete_labels", "targets=ema_teacher", "sampler=mixed"),
        DATA,
        TrainerConfig(tmp_path, steps=2),
    )
    assert (tmp_path / "ema.safetensors").is_file()
    assert all(torch.isfinite(value).all() for value in weights(net).values())


def test_train_method_learns_visible_au(tmp_path: Path) -> None:
    """The first AU brightens the left half of a synthetic face."""
    chosen = recipe(
        "feature_pyramid",
        "batch=16",
        "epochs=10",
        "sampling.every=1",
        "targets=ignore",
        "sampling.jitter=none",
    )
    net = train_method(chosen, DATA, TrainerConfig(tmp_path))
    predictions = method_predictions(net, chosen, DATA.train, DATA)
    assert ((predictions.au[:, 0] > 0.5) == (DATA.train.au[:, 0] > 0.5)).mean() > 0.9


def scores_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "scores.json").read_text()))


def test_train_method_keeps_best_epoch_and_judges_each_once(tmp_path: Path) -> None:
    given, judged = iter([0.2, 0.7, 0.5]), []

    def evaluate(net: torch.nn.Module) -> dict[str, float]:
        judged.append(weights(net))
        return {"total": next(given)}

    net = train_method(
        recipe("incomplete_labels", "epochs=3"),
        DATA,
        TrainerConfig(tmp_path, steps=7, keep_best=True),
        evaluate=evaluate,
    )
    assert len(judged) == 3, "the last epoch is judged once"
    scores = scores_of(tmp_path)
    assert [entry["scores"]["total"] for entry in scores["epochs"]] == [0.2, 0.7, 0.5]
    assert scores["best"] == {"epoch": 2, "network": "trained", "total": 0.7}
    assert scores["final"] == {"total": 0.7}
    saved = load_file(tmp_path / "weights.safetensors")
    for found in (weights(net), saved):
        assert all(torch.equal(value, judged[1][name]) for name, value in found.items())


def test_train_method_stops_after_patience_and_stays_stopped(tmp_path: Path) -> None:
    chosen = recipe("incomplete_labels", "epochs=8", "patience=2")
    given = iter([0.5, 0.6, 0.1, 0.6])
    train_method(
        chosen,
        DATA,
        TrainerConfig(tmp_path, steps=16, keep_best=True),
        evaluate=lambda net: {"total": next(given)},
    )
    assert len(scores_of(tmp_path)["epochs"]) == 4, "two epochs without a better one"
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 8
    train_method(
        chosen,
        DATA,
        TrainerConfig(tmp_path, steps=16, keep_best=True, resume=True),
        evaluate=lambda net: pytest.fail("a stopped run is not continued"),
    )


def test_train_method_judges_student_and_average(tmp_path: Path) -> None:
    given = iter([0.2, 0.1, 0.3, 0.9])  # student, average, student, average
    net = train_method(
        recipe("mean_teacher", "epochs=2"),
        DATA,
        TrainerConfig(tmp_path, steps=4, keep_best=True),
        evaluate=lambda net: {"total": next(given)},
    )
    scores = scores_of(tmp_path)
    assert scores["best"] == {"epoch": 2, "network": "moving average", "total": 0.9}
    assert scores["epochs"][1]["average_scores"] == {"total": 0.9}
    average = load_file(tmp_path / "ema.safetensors")
    assert all(torch.equal(value, average[name]) for name, value in weights(net).items())


def test_load_initial_weights_matches_names_and_warns_of_rest() -> None:
    frames = build_network(recipe("multi_database", "net.recurrence=none").net)
    net = build_network(recipe("multi_database").net)
    with pytest.warns(UserWarning, match=r"initial weights: \d+ loaded, 12 missing \(grus"):
        load_initial_weights(net, frames.state_dict())
    assert torch.equal(
        net.state_dict()["heads.va.read.1.weight"], frames.state_dict()["heads.va.read.1.weight"]
    )
    with pytest.raises(
        ValueError, match="initial weights are of another network: no name is known"
    ):
        load_initial_weights(net, {"other": torch.zeros(1)})
    with pytest.raises(
        ValueError, match=r"expected heads.va.read.1.weight of shape \(40, 64\), got \(1,\)"
    ):
        load_initial_weights(net, {"heads.va.read.1.weight": torch.zeros(1)})


def masked(data: MethodData, **masks: np.ndarray) -> MethodData:
    return replace(data, train=replace(data.train, **masks))


def test_train_method_of_empty_task_warns_and_trains_others(tmp_path: Path) -> None:
    none = masked(DATA, expression_mask=np.zeros(56, bool))
    with pytest.warns(
        UserWarning, match="M1 trains without EXPR: no training row is labeled for it"
    ):
        net = train_method(recipe("prior_aided_streaming"), none, TrainerConfig(tmp_path, steps=2))
    assert all(torch.isfinite(value).all() for value in weights(net).values())


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "pairwise_intensity"])
def test_train_method_of_single_class_stays_finite(name: str, tmp_path: Path) -> None:
    flat = masked(
        DATA,
        au=np.zeros_like(DATA.train.au),
        expression=np.full(56, 4, np.int8),
        va=np.full((56, 2), 0.3, np.float32),
    )
    net = train_method(recipe(name), flat, TrainerConfig(tmp_path, steps=3))
    assert all(torch.isfinite(value).all() for value in weights(net).values())
    predictions = method_predictions(net, recipe(name), DATA.validation, DATA)
    assert all(
        value is None or np.isfinite(value).all()
        for value in (predictions.au, predictions.expression, predictions.va)
    )


def test_train_method_of_unlabeled_batches_stays_finite(tmp_path: Path) -> None:
    """A mean teacher uses unlabeled frames, here nearly all of them."""
    few = np.arange(56) < 2
    sparse = masked(
        DATA, au_mask=np.repeat(few[:, None], 12, axis=1), expression_mask=few, va_mask=few
    )
    net = train_method(recipe("mean_teacher"), sparse, TrainerConfig(tmp_path, steps=6))
    assert all(torch.isfinite(value).all() for value in weights(net).values())


def with_nan_sound(loader: BatchLoader, part: Part, seed: tuple[int, ...], of: int) -> Any:
    """A batch whose audio is not finite in one of `of` samples."""
    batch = build_part(loader, part, seed)
    batch["mel"][::of] = float("nan")
    return batch


build_part = BatchLoader._build_part


def test_train_method_skips_samples_with_nan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchLoader, "_build_part", partialmethod(with_nan_sound, of=3))
    net = train_method(recipe("mean_teacher"), DATA, TrainerConfig(tmp_path, steps=4))
    assert all(torch.isfinite(value).all() for value in weights(net).values())
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["left_out"] > 0


def test_train_method_of_only_nan_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchLoader, "_build_part", partialmethod(with_nan_sound, of=1))
    with pytest.raises(TrainingError, match="no usable sample in 50 steps"):
        train_method(recipe("mean_teacher"), DATA, TrainerConfig(tmp_path, steps=80))


def test_train_method_of_videos_shorter_than_window_trains(tmp_path: Path) -> None:
    short = synthetic_data({"a": 3, "b": 5, "c silent": 2}, {"d": 1, "e silent": 4}, size_px=48)
    for name, options in (
        ("multimodal_transformer", []),
        ("multi_database", ["net.recurrence=both", "sampling.drop_gaps=false"]),
        ("mean_teacher", []),
    ):
        chosen = recipe(name, "sampling.every=1", *options)
        net = train_method(chosen, short, TrainerConfig(tmp_path / name, steps=2))
        predictions = method_predictions(net, chosen, short.validation, short)
        assert predictions.known.all()
        assert np.isfinite(predictions.expression).all()


def test_train_method_of_audio_shorter_than_video_trains(tmp_path: Path) -> None:
    long = synthetic_data(
        {"a": 130, "b": 130}, {"c": 130}, size_px=48
    )  # 5.2 s of video, 4 s of audio
    for name in ("multimodal_transformer", "mean_teacher"):
        net = train_method(
            recipe(name, "sampling.every=20"), long, TrainerConfig(tmp_path / name, steps=2)
        )
        predictions = method_predictions(net, recipe(name), long.validation, long)
        assert np.isfinite(predictions.au).all()


def test_recipe_with_batch_of_one_raises() -> None:
    with pytest.raises(
        ValueError, match="batch must be at least 2, since batch statistics need two samples, got 1"
    ):
        recipe("incomplete_labels", "batch=1")
    with pytest.raises(ValueError, match=r"sampling.windows must be at least 2"):
        recipe("multi_database", "sampling.windows=1")


def test_train_method_resumed_with_other_recipe_raises_and_keeps_checkpoint(tmp_path: Path) -> None:
    train_method(recipe("incomplete_labels"), DATA, TrainerConfig(tmp_path, steps=2))
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"of another run: .*use another folder"):
        train_method(recipe("attention_graph"), DATA, TrainerConfig(tmp_path, steps=2, resume=True))
    with pytest.raises(TrainingError, match="of a run of 2 steps, not 5"):
        train_method(
            recipe("incomplete_labels"), DATA, TrainerConfig(tmp_path, steps=5, resume=True)
        )
    assert (tmp_path / "state.pt").read_bytes() == before


@pytest.mark.parametrize("damage", ["state.pt", "weights.safetensors", "run.json"])
def test_read_method_run_of_damaged_file_raises(damage: str, tmp_path: Path) -> None:
    train_method(recipe("incomplete_labels"), DATA, TrainerConfig(tmp_path, steps=2))
    path = tmp_path / damage
    path.write_bytes(path.read_bytes()[:100])
    if damage == "state.pt":
        with pytest.raises(TrainingError, match=r"cannot be read .* delete it to start anew"):
            train_method(
                recipe("incomplete_labels"), DATA, TrainerConfig(tmp_path, steps=2, resume=True)
            )
        return
    with pytest.raises(ValueError, match=r"cannot be used|is not of a method's run"):
        read_method_run(tmp_path)


def test_train_method_on_cpu_supports_bfloat16_only(tmp_path: Path) -> None:
    net = train_method(
        recipe("feature_pyramid"),
        DATA,
        TrainerConfig(tmp_path / "half", steps=2, precision="bfloat16"),
    )
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    full = train_method(recipe("feature_pyramid"), DATA, TrainerConfig(tmp_path / "full", steps=2))
    assert not equal(net, full)
    with pytest.raises(ValueError, match="float16 needs a CUDA device"):
        train_method(
            recipe("feature_pyramid"),
            DATA,
            TrainerConfig(tmp_path / "other", steps=2, precision="float16"),
        )
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, float16"):
        train_method(
            recipe("feature_pyramid"),
            DATA,
            TrainerConfig(tmp_path / "other", steps=2, precision="fp8"),
        )


def test_train_method_fits_graph_to_training_labels_and_weighs_its_loss_like_the_head(
    tmp_path: Path,
) -> None:
    chosen = recipe("attention_graph")
    net = train_method(chosen, DATA, TrainerConfig(tmp_path, steps=2))
    expected = adjacency_from_labels(
        torch.from_numpy(DATA.train.au), torch.from_numpy(DATA.train.au_mask)
    )
    assert torch.equal(net.state_dict()["relation.graph.adjacency"], expected)
    outputs = net(net.zeros(2))
    pair = outputs["graph_pair"]
    logit = 2 * outputs["au_logit"] - outputs["au_pair"].diff(dim=2)[..., 0]
    assert torch.allclose(pair.diff(dim=2)[..., 0], logit, atol=1e-5)
    terms = {(term.loss, term.output) for term in chosen.losses}
    assert {(loss, "graph_pair") for loss in ("pair_ce", "pair_dice")} <= terms
    weight = torch.rand(12)
    batch = {"au": torch.ones(2, 12), "au_mask": torch.ones(2, 12)}
    head = [term for term in chosen.losses if term.output == "au_pair"]
    graph = [term for term in chosen.losses if term.output == "graph_pair"]
    same = {"au_pair": pair, "graph_pair": pair}
    assert torch.equal(
        total_loss(tuple(head), same, batch, weight)["loss"],
        total_loss(tuple(graph), same, batch, weight)["loss"],
    )


def test_train_method_starts_from_another_run(tmp_path: Path) -> None:
    first = train_method(recipe("multi_database"), DATA, TrainerConfig(tmp_path / "first", steps=2))
    started = recipe("multi_database", f"init_from={tmp_path / 'first'}", "optimizer.rate=1e-9")
    net = train_method(started, DATA, TrainerConfig(tmp_path / "second", steps=1))
    before = weights(first)
    assert all(
        torch.allclose(value, before[name], atol=1e-6)
        for name, value in weights(net).items()
        if name.endswith(("weight", "bias"))
    )
    assert read_method_run(tmp_path / "second")[0].init_from == str(tmp_path / "first")


def test_options_that_save_memory_or_time_train_the_same_network(tmp_path: Path) -> None:
    chosen = recipe("incomplete_labels")
    plain = train_method(chosen, DATA, TrainerConfig(tmp_path / "plain", steps=3))
    recomputed = train_method(
        chosen, DATA, TrainerConfig(tmp_path / "again", steps=3, recompute=True)
    )
    compiled = train_method(
        chosen, DATA, TrainerConfig(tmp_path / "compiled", steps=3, compile="aot_eager")
    )
    assert type(recomputed.trunk.layer1[0]).__name__ == "RecomputedBasicBlock"
    for net in (recomputed, compiled):
        for name, value in weights(net).items():
            assert torch.allclose(value, weights(plain)[name], atol=1e-5), name
    assert weights(read_method_run(tmp_path / "compiled")[1]).keys() == weights(plain).keys()


def test_shared_statistics_and_parts_of_batches_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sync_norm and accumulate exclude each other"):
        TrainerConfig(tmp_path, sync_norm=True, accumulate=2)
