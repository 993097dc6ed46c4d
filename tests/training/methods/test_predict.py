"""Predictions for evaluation: causal networks as in the SDK, others by window, clip or video."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from faceaffect.labels import EXPRESSION_NAMES
from tests.training.methods.network_cases import SMALL, small_net
from tests.training.methods.synthetic_faces import synthetic_data
from training.datasets.frame_table import FrameTable
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.data import MethodData
from training.methods.predict import MethodPredictions, is_causal, method_predictions
from training.methods.recipe_lookup import find_recipe
from training.methods.scores import method_scores, scores_text
from training.methods.stream_runner import StreamRunner

pytestmark = pytest.mark.train
DATA = synthetic_data(validation={"one": 13, "two silent": 9, "three": 21}, size_px=48)


def build(name: str, *options: str):  # type: ignore[no-untyped-def]
    return small_net(name, *options), find_recipe(name, "compact", [*SMALL[name], *options])


def streamed(net, recipe, data: MethodData) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """Outputs of a stream runner for all frames, with audio in steps of 100 ms."""
    table, runner = data.validation, StreamRunner(net.stages())
    samples = BatchBuilder(recipe, InputSpec.of(net), data, table)
    audio = next((stage for stage in net.stages() if stage.name == "audio"), None)
    outputs: dict[str, list[np.ndarray]] = {}
    audio_steps: dict[str, int] = {}
    for row in range(len(table)):
        name = table.videos[table.video[row]]
        track = data.tracks.get(table.media_of(row)) if audio is not None else None
        if track is not None:
            offset_s = float(table.audio_offset_s[row])
            steps = track.frames_available(offset_s) // 10
            while audio_steps.get(name, 0) < steps:
                k = audio_steps[name] = audio_steps.get(name, 0) + 1
                if audio.states:
                    runner.push_audio(
                        name, torch.from_numpy(track.chunk(10 * k - 10, 10 * k))[None]
                    )
                elif k == steps:
                    runner.push_audio(
                        name,
                        torch.from_numpy(track.latest_frames(offset_s, audio.inputs[0].shape[-1]))[
                            None
                        ],
                    )
        for key, value in runner.step(name, {"crops": samples.images(np.array([row]))}).items():
            if key in ("au_logit", "expression_logit", "va"):
                outputs.setdefault(key, []).append(value[0].numpy())
    return {key: np.stack(values) for key, values in outputs.items()}


@pytest.mark.parametrize(
    "name", ["multimodal_transformer", "mean_teacher", "pairwise_intensity", "multi_database"]
)
def test_method_predictions_of_causal_network_match_stream(name: str) -> None:
    net, recipe = build(name)
    assert is_causal(net)
    predictions, expected = (
        method_predictions(net, recipe, DATA.validation, DATA),
        streamed(net, recipe, DATA),
    )
    assert predictions.known.all()
    if predictions.au is not None:
        assert np.allclose(predictions.au, 1 / (1 + np.exp(-expected["au_logit"])), atol=1e-5)
    if predictions.expression is not None:
        soft = np.exp(
            expected["expression_logit"] - expected["expression_logit"].max(axis=1, keepdims=True)
        )
        assert np.allclose(
            predictions.expression, soft / soft.sum(axis=1, keepdims=True), atol=1e-5
        )
    if predictions.va is not None:
        assert np.allclose(predictions.va, expected["va"].clip(-1, 1), atol=1e-5)
    assert {
        each for each in ("au", "expression", "va") if getattr(predictions, each) is not None
    } == {{"au_logit": "au", "expression_logit": "expression"}.get(key, key) for key in expected}


@pytest.mark.parametrize(
    "name", ["multimodal_transformer", "mean_teacher", "pairwise_intensity", "multi_database"]
)
def test_method_predictions_at_input_fps_hold_skipped_frames(name: str) -> None:
    net, recipe = build(name)
    table = DATA.validation  # 25 frames a second
    processed = np.flatnonzero((table.frame - 1) % 5 == 0)
    slow = method_predictions(net, recipe, table.select(processed), DATA)
    predictions = method_predictions(net, recipe, table, DATA, input_fps=5)
    assert np.flatnonzero(predictions.known).tolist() == processed.tolist()
    source = np.searchsorted(processed, np.arange(len(table)), side="right") - 1
    every = method_predictions(net, recipe, table, DATA)
    for head in ("au", "expression", "va"):
        value = getattr(predictions, head)
        if value is not None:
            assert np.allclose(value, getattr(slow, head)[source], atol=1e-6), head
            assert np.abs(value - getattr(every, head)).max() > 1e-4, (
                f"{head}: the frame rate has no effect"
            )


def test_method_predictions_of_stateless_network_ignore_input_fps() -> None:
    net, recipe = build("feature_pyramid")
    plain, paced = (
        method_predictions(net, recipe, DATA.validation, DATA, input_fps=input_fps)
        for input_fps in (None, 5)
    )
    assert paced.known.all()
    assert np.array_equal(plain.va, paced.va)


def test_method_predictions_of_forward_gru_match_offline_network() -> None:
    net, recipe = build("multi_database")
    predictions = method_predictions(net, recipe, DATA.validation, DATA)
    samples = BatchBuilder(recipe, InputSpec.of(net), DATA, DATA.validation)
    rows = np.flatnonzero(DATA.validation.video == 2)
    with torch.no_grad():
        offline = net({"crops": samples.images(rows)[None]})
    assert np.allclose(predictions.va[rows], offline["va"][0].numpy(), atol=1e-5)


def test_method_predictions_of_non_causal_network_use_adjacent_windows() -> None:
    net, recipe = build(
        "multi_database", "net.recurrence=both", "net.window=8", "sampling.drop_gaps=false"
    )
    predictions = method_predictions(net, recipe, DATA.validation, DATA)
    samples = BatchBuilder(recipe, InputSpec.of(net), DATA, DATA.validation)
    # "one" has 13 frames: 0 to 7, and the last eight, of which 5 to 7 are already predicted.
    with torch.no_grad():
        first, last = (
            net(samples.inputs(np.arange(k, k + 8)[None]))["va"][0].numpy() for k in (0, 5)
        )
    assert np.allclose(predictions.va[:8], first, atol=1e-5)
    assert np.allclose(predictions.va[8:13], last[3:], atol=1e-5)


def test_method_predictions_of_published_clips_end_at_each_frame() -> None:
    options = ["net.clip=3d", "net.base=8", "net.spacing=2"]
    net, recipe = build("mean_teacher", *options)
    assert not is_causal(net)
    predictions = method_predictions(net, recipe, DATA.validation, DATA)
    samples = BatchBuilder(recipe, InputSpec.of(net), DATA, DATA.validation)
    with torch.no_grad():
        early = net(samples.inputs(np.array([[-1, -1, -1, -1, -1, 0, 2, 4]])))["va"][0].numpy()
    assert np.allclose(predictions.va[4], early, atol=1e-5)


def test_method_predictions_of_non_causal_percentiles_use_full_video() -> None:
    net, recipe = build("pairwise_intensity", "net.causal=false")
    predictions = method_predictions(net, recipe, DATA.validation, DATA)
    samples = BatchBuilder(recipe, InputSpec.of(net), DATA, DATA.validation)
    with torch.no_grad():
        offline = net({"crops": samples.images(np.arange(13))[None]})["au_logit"][0]
    assert np.allclose(predictions.au[:13], torch.sigmoid(offline).numpy(), atol=1e-5)


def without_crops(table: FrameTable, rows: list[int]) -> FrameTable:
    paths = [None if k in rows else path for k, path in enumerate(table.path.to_pylist())]
    return replace(table, path=pa.array(paths, pa.string()))


def test_method_predictions_without_face_hold_last_or_neutral() -> None:
    net, recipe = build("feature_pyramid")
    table = without_crops(DATA.validation, [0, 5, 6, 13, 14])
    plain, held = (method_predictions(net, recipe, each, DATA) for each in (DATA.validation, table))
    assert held.known.sum() == len(table) - 5
    assert np.allclose(held.va[[5, 6]], plain.va[4], atol=1e-6)
    for row in (0, 13, 14):  # the first frames of two videos
        assert held.expression[row].argmax() == EXPRESSION_NAMES.index("neutral")
        assert not held.va[row].any()
        assert not held.au[row].any()


def test_method_scores_cover_labeled_frames_only() -> None:
    table = DATA.validation
    known = np.ones(len(table), bool)
    one_hot = np.eye(7, dtype=np.float32)[table.expression]
    perfect = MethodPredictions(known, table.au, one_hot, table.va)
    scores = method_scores(perfect, table)
    assert [scores[task]["score"] for task in ("AU", "EXPR", "VA")] == pytest.approx(
        [1, 1, 1], abs=1e-5
    )
    assert scores["total"] == pytest.approx(1, abs=1e-5)
    wrong = table.au.copy()
    wrong[:, 3] = 1 - wrong[:, 3]
    half = method_scores(
        replace(perfect, au=wrong, expression=None),
        replace(table, va_mask=np.arange(len(table)) < 20),
    )
    assert half["AU"]["f1"]["AU6"] == 0
    assert half["AU"]["score"] == pytest.approx(11 / 12)
    assert half["VA"]["frames"] == 20
    assert "EXPR" not in half
    assert scores_text(half).startswith("AU 0.917 (43 frames), VA 1.000 (20 frames), mean")


def test_method_scores_without_labels_are_none() -> None:
    table = DATA.validation
    none = np.zeros(len(table), bool)
    bare = replace(table, au_mask=np.zeros_like(table.au_mask), expression_mask=none, va_mask=none)
    scores = method_scores(
        MethodPredictions(np.ones(len(table), bool), table.au, None, table.va), bare
    )
    assert scores == {"total": None}
    assert scores_text(scores) == "no labeled frame to evaluate on"


def test_method_scores_of_partially_labeled_au_skip_unlabeled_frames() -> None:
    table = DATA.validation
    some = table.au_mask.copy()
    some[:, :4] = False
    predictions = MethodPredictions(np.ones(len(table), bool), table.au, None, None)
    scores = method_scores(predictions, replace(table, au_mask=some))
    assert scores["AU"]["f1"]["AU1"] is None
    assert scores["AU"]["score"] == pytest.approx(1)
