"""Distillation of methods into the default model: targets of its tables, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from faceaffect.bundle.bundle import open_bundle
from faceaffect.kernels import au_gcn
from tests.training.methods.network_cases import SMALL, small_net
from tests.training.methods.synthetic_faces import synthetic_data
from training.__main__ import main
from training.datasets.face_table import FaceTable, empty_targets
from training.datasets.renderwild import load_renderwild_frames
from training.datasets.synthetic_images import SYNTHETIC_IMAGES
from training.distillation.teachers import (
    BundleTeacher,
    DistillationConfig,
    TeacherEnsemble,
    TeacherOutputs,
    mean_outputs,
    predict_images,
    predict_videos,
    with_teacher_targets,
)
from training.engine.trainer import TrainerConfig
from training.evaluation.network_runner import table_crops
from training.losses.action_units import bce
from training.losses.expression import distribution_ce
from training.methods.predict import method_predictions
from training.methods.predict_stills import face_crops
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.methods.stream_runner import StreamRunner
from training.methods.train_method import train_method
from training.methods.train_run import open_recipe_data
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train


def faces(count: int = 6) -> FaceTable:
    random = np.random.default_rng(0)
    targets = empty_targets(count)
    targets["landmarks_xy"] = np.repeat(MEAN_SHAPE_PX[None] + 20, count, axis=0).astype(np.float32)
    targets["au"] = random.random((count, 12)).astype(np.float32)
    targets["au_weight"] = (random.random((count, 12)) < 0.5).astype(np.float32)
    targets["expression"] = np.eye(7, dtype=np.float32)[random.integers(0, 7, count)]
    targets["expression_weight"] = (np.arange(count) % 2).astype(np.float32)
    return FaceTable(
        "synthetic", random.integers(0, 256, (count, 160, 160, 3)).astype(np.uint8), **targets
    )


def teacher_outputs(count: int = 6) -> TeacherOutputs:
    random = np.random.default_rng(1)
    expression = random.random((count, 7))
    return TeacherOutputs(
        random.random((count, 12)).astype(np.float32),
        (expression / expression.sum(axis=1, keepdims=True)).astype(np.float32),
        random.uniform(-1, 1, (count, 2)).astype(np.float32),
    )


def test_with_teacher_targets_loss_is_weighted_sum_of_label_and_teacher() -> None:
    table, teacher, weight = faces(), teacher_outputs(), 0.4
    distilled = with_teacher_targets(table, teacher, DistillationConfig(weight, 0.5))
    logit, seven = torch.randn(6, 12), torch.randn(6, 7)
    known = table.au_weight > 0

    def au(target: np.ndarray, mask: np.ndarray) -> float:
        return float(bce(logit, torch.from_numpy(target), torch.from_numpy(mask)) * mask.sum())

    only = known.astype(np.float32)
    expected = (
        (1 - weight) * au(table.au, only)
        + weight * au(teacher.au, only)
        + 0.5 * au(teacher.au, 1 - only)
    )
    assert au(distilled.au, distilled.au_weight) == pytest.approx(expected, rel=1e-5)
    both, labeled = np.ones(7, np.float32), table.expression_weight

    def expression(target: np.ndarray, mask: np.ndarray) -> float:
        arguments = (
            seven,
            torch.from_numpy(target),
            torch.from_numpy(mask),
            torch.from_numpy(both),
        )
        return float(distribution_ce(*arguments) * mask.sum())

    expected = (1 - weight) * expression(table.expression, labeled) + weight * expression(
        teacher.expression, labeled
    )
    expected += 0.5 * expression(teacher.expression, 1 - labeled)
    assert expression(distilled.expression, distilled.expression_weight) == pytest.approx(
        expected, rel=1e-5
    )


def test_with_teacher_targets_of_missing_outputs_or_faces_keeps_labels() -> None:
    table = replace(faces(), face=np.array([1, 1, 0, 1, 1, 1], np.float32))
    teacher = teacher_outputs()
    teacher.au[4] = np.nan
    distilled = with_teacher_targets(table, teacher, DistillationConfig())
    for row in (2, 4):
        assert (distilled.au[row] == table.au[row]).all()
        assert (distilled.au_weight[row] == table.au_weight[row]).all()
    assert (distilled.va[[0, 4]] == teacher.va[[0, 4]]).all()
    assert distilled.va_weight.tolist() == [0.5, 0.5, 0, 0.5, 0.5, 0.5]


def test_mean_outputs_ignores_missing_predictions() -> None:
    first, second = teacher_outputs(), TeacherOutputs.empty(6)
    second.au[:3] = 1
    mean = mean_outputs([first, second])
    assert np.allclose(mean.au[:3], (first.au[:3] + 1) / 2)
    assert np.allclose(mean.au[3:], first.au[3:])
    assert np.allclose(mean.va, first.va)
    assert np.isnan(mean_outputs([second, second]).va).all()


@pytest.mark.parametrize("name", RECIPES)
def test_predict_images_equals_first_frame_of_stream(name: str) -> None:
    net, recipe = small_net(name), find_recipe(name, "compact", SMALL[name])
    table = faces(3)
    predicted = predict_images(recipe, net, table)
    form = net.input_forms()[0]
    crops = face_crops(recipe, table, form.shape[-1], form.shape[-3])
    for row in range(3):
        outputs = StreamRunner(net.stages()).step("face", {"crops": crops[row : row + 1]})
        if "au_logit" in outputs:
            assert np.allclose(
                predicted.au[row], torch.sigmoid(outputs["au_logit"][0]).numpy(), atol=1e-5
            )
        if "va" in outputs:
            assert np.allclose(predicted.va[row], outputs["va"][0].clamp(-1, 1).numpy(), atol=1e-5)
    assert np.isnan(predicted.expression).all() == (
        name in ("attention_graph", "pairwise_intensity")
    )


def test_predict_images_of_non_causal_network_is_finite() -> None:
    for name, options in (
        ("multi_database", ["net.recurrence=both"]),
        ("multimodal_transformer", ["net.causal=false"]),
    ):
        net, recipe = (
            small_net(name, *options),
            find_recipe(name, "compact", [*SMALL[name], *options]),
        )
        assert np.isfinite(predict_images(recipe, net, faces(3)).expression).all()


def test_teacher_ensemble_of_invalid_options_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="teacher_weight must be in 0 to 1"):
        DistillationConfig(1.5)
    with pytest.raises(ValueError, match="at least one teacher"):
        TeacherEnsemble([], tmp_path, DistillationConfig())
    with pytest.raises(
        FileNotFoundError, match=r"has no run\.json: expected the folder of a trained method"
    ):
        TeacherEnsemble([tmp_path], tmp_path, DistillationConfig())


def test_bundle_teacher_averages_image_and_its_mirror_image(tmp_path: Path) -> None:
    table, bundle = faces(3), open_bundle()
    predicted = BundleTeacher(bundle.path).predict_images(table)
    session = onnxruntime.InferenceSession(bundle.onnx)
    names, crops = ["au_nodes", "expression_logit", "va_raw"], table_crops(table, 112)
    for row in range(3):
        outputs = [
            session.run(names, {"crops": c[None].numpy()}) for c in (crops[row], crops[row].flip(2))
        ]
        au = np.mean(
            [1 / (1 + np.exp(-au_gcn(nodes, bundle.graph)[0])) for nodes, _, _ in outputs], axis=0
        )
        shown = np.mean([np.exp(e[0]) / np.exp(e[0]).sum() for _, e, _ in outputs], axis=0)
        assert np.allclose(predicted.au[row], au, atol=1e-4)
        assert np.allclose(predicted.expression[row], shown, atol=1e-4)
        assert np.allclose(
            predicted.va[row], np.mean([np.tanh(va[0]) for _, _, va in outputs], axis=0), atol=1e-4
        )
    distilled = TeacherEnsemble([bundle.path], tmp_path, DistillationConfig(0.4, 0.5)).images(table)
    assert np.array_equal(
        distilled.au, with_teacher_targets(table, predicted, DistillationConfig(0.4, 0.5)).au
    )


def test_teacher_ensemble_without_synthetic_keeps_synthetic_tables(tmp_path: Path) -> None:
    teaching = TeacherEnsemble([open_bundle().path], tmp_path, DistillationConfig(synthetic=False))
    synthetic = replace(faces(3), name=SYNTHETIC_IMAGES)
    assert teaching.images(synthetic) is synthetic
    assert teaching.frames(synthetic, tmp_path, []) is synthetic
    assert not np.array_equal(teaching.images(faces(3)).au, synthetic.au)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two methods after one step each: one of single frames, one with states and audio."""
    folder = tmp_path_factory.mktemp("teachers")
    for name in ("feature_pyramid", "mean_teacher"):
        recipe = find_recipe(name, "compact", [*SMALL[name], "batch=4", "targets=ignore"])
        train_method(recipe, synthetic_data(size_px=32), TrainerConfig(folder / name, steps=1))
    return [folder / "feature_pyramid", folder / "mean_teacher"]


@pytest.mark.shared
def test_predict_videos_matches_streamed_predictions(renderwild_tiny: Path, tmp_path: Path) -> None:
    net, recipe = small_net("multi_database"), find_recipe("M8", "compact", SMALL["multi_database"])
    _, _, origins = load_renderwild_frames(renderwild_tiny, rate_hz=1.5)
    predicted = predict_videos(recipe, net, renderwild_tiny, origins, tmp_path)
    data = open_recipe_data(recipe, renderwild_tiny, tmp_path)
    predictions = method_predictions(net, recipe, data.train, data)
    rows = {
        (data.train.videos[v], int(f)): k
        for k, (v, f) in enumerate(zip(data.train.video, data.train.frame, strict=True))
    }
    compared = 0
    for k, origin in enumerate(origins):
        row = rows.get(origin)
        if row is None:
            continue
        assert np.allclose(predicted.va[k], predictions.va[row], atol=1e-5)
        compared += 1
    assert compared > 10
    assert np.isnan(predicted.au).all()  # M8 has no AUs


@pytest.mark.shared
def test_distill_command_trains_student_and_rejects_other_teachers(
    renderwild_tiny: Path, teachers: list[Path], tmp_path: Path
) -> None:
    def call(out: Path, *more: str, runs: list[Path] = teachers) -> Result:
        few = [
            "schedule.steps=2",
            "schedule.save_every=2",
            "schedule.small_px=48",
            "mix.synthetic_videos=6",
            "mix.no_face=2",
        ]
        options = [part for option in few for part in ("--set", option)]
        teacher_options = [part for run in runs for part in ("--teacher", str(run))]
        arguments = [
            "distill",
            *teacher_options,
            "--synthetic-videos",
            str(renderwild_tiny),
            "--synthetic-only",
            "--cache",
            str(tmp_path / "cache"),
        ]
        return CliRunner().invoke(main, [*arguments, "--out", str(out), *options, *more])

    whole = call(tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    record = json.loads((tmp_path / "whole" / "distill.json").read_text())
    assert [each["paper"] for each in record["teachers"]] == ["M6", "M5"]
    assert len(list((tmp_path / "whole" / "teachers").glob("*.npz"))) == 2
    distilled = load_file(tmp_path / "whole" / "ema.safetensors")
    other = call(tmp_path / "one", runs=teachers[:1])
    assert other.exit_code == 0, other.output
    one = load_file(tmp_path / "one" / "ema.safetensors")
    assert not all(torch.equal(value, one[name]) for name, value in distilled.items())
    assert "add --resume" in call(tmp_path / "whole").output
    assert "names other teachers" in call(tmp_path / "whole", "--resume", runs=teachers[:1]).output
    assert "resumed at step 2" in call(tmp_path / "whole", "--resume").output
