"""Network inputs compared with the table, images and audio that they are built from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from faceaffect.multistage.face_part_mask import face_part_mask
from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import FPS, synthetic_data
from training.augmentation.clips import apply_changes
from training.datasets.sampling.windows import NO_FRAME
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.data import MethodData
from training.methods.normalization import NORMALIZATIONS
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.cost import on_meta
from training.models.encoders.au_attention import POINTS
from training.models.mean_shape import FLIP_ORDER
from training.models.networks.build_network import build_network

pytestmark = pytest.mark.train
ALL = ("AU", "EXPR", "VA")


def build_inputs(name: str, data: MethodData, *options: str) -> BatchBuilder:
    recipe = find_recipe(name, "compact", [*SMALL[RECIPES[int(name[1]) - 1]], *options])
    form = InputSpec.of(on_meta(lambda: build_network(recipe.net)), recipe.sampling.form)
    return BatchBuilder(recipe, form, data, data.train)


def test_batch_holds_images_and_labels_of_rows() -> None:
    data = synthetic_data(size_px=48)
    rows = np.array([3, 30, 7])
    batch = build_inputs("M3", data, "sampling.jitter=none").batch(rows, ALL, (1, 0))
    norm = NORMALIZATIONS["imagenet"]
    mean, std = (torch.tensor(value)[:, None, None] for value in (norm.mean, norm.std))
    images = (batch["crops"] * std + mean) * 255
    assert torch.allclose(
        images, torch.from_numpy(data.images.array[rows]).permute(0, 3, 1, 2).float(), atol=1e-2
    )
    assert torch.equal(batch["au"], torch.from_numpy(data.train.au[rows]))
    assert torch.equal(
        batch["expression"], torch.from_numpy(data.train.expression[rows].astype(np.int64))
    )
    assert torch.equal(batch["va"], torch.from_numpy(data.train.va[rows]))
    assert batch["au_mask"].shape == (3, 12)


def test_batch_is_deterministic_per_step() -> None:
    builder = build_inputs("M5", synthetic_data())
    rows = np.array([[0, 1, 2, 3, 4, 5, 6, 7]] * 2)
    first, repeated, other = (builder.batch(rows, ALL, (1, step)) for step in (5, 5, 6))
    assert all(torch.equal(first[name], repeated[name]) for name in first)
    assert not torch.equal(first["clip"], other["clip"])


def test_labels_of_unlabeled_or_absent_rows_are_masked() -> None:
    data = synthetic_data()
    known = replace(data, train=replace(data.train, expression_mask=np.arange(56) != 1))
    labels = build_inputs("M2", known).labels(np.array([[0, 1, NO_FRAME]]), ALL)
    assert labels["expression_mask"].tolist() == [[1, 0, 0]]
    assert labels["au_mask"].sum(dim=2).tolist() == [[12, 12, 0]]


def test_batch_flip_mirrors_and_reorders_landmarks() -> None:
    data = synthetic_data(size_px=48)
    data.images.points[:, :, 0] += 3  # not symmetric any more
    builder = build_inputs("M4", data)
    builder.form = replace(builder.form, size_px=48)
    original = data.images.points[0]
    orientations = set()
    for step in range(12):
        batch = builder.batch(np.arange(8), ("AU",), (1, step))
        assert batch["landmarks_49_mask"].all()
        for points in batch["landmarks_49"].numpy():
            # Up to rotation, scale and shift, a mirrored face is the original with x negated.
            both = {}
            for name, shape in (
                ("original", original),
                ("mirrored", original[list(FLIP_ORDER)] * [-1, 1]),
            ):
                expected = shape[list(POINTS)]
                design = np.column_stack([expected, np.ones(49)])
                fit, *_ = np.linalg.lstsq(design, points, rcond=None)
                both[name] = np.abs(design @ fit - points).max(), np.linalg.det(fit[:2])
            name = min(both, key=lambda shape: both[shape][0] if both[shape][1] > 0 else np.inf)
            assert both[name][0] < 1e-2
            orientations.add(name)
    assert orientations == {"original", "mirrored"}


def test_batch_of_unknown_landmarks_masks_them() -> None:
    data = synthetic_data(size_px=48)
    data.images.points[2] = np.nan
    batch = build_inputs("M4", data).batch(np.arange(4), ("AU",), (1, 0))
    assert batch["landmarks_49_mask"].tolist() == [1, 1, 0, 1]
    assert torch.isfinite(batch["landmarks_49"]).all()


def test_inputs_of_clips_have_part_masks_and_frame_mask() -> None:
    data = synthetic_data()
    data.images.points[5] = np.nan
    clip = np.array([[NO_FRAME] * 5 + [3, 4, 5]])
    inputs = build_inputs("M5", data).inputs(clip)
    assert inputs["clip"].shape == (1, 8, 4, 32, 32)
    assert inputs["clip_real"].tolist() == [[0] * 5 + [1] * 3]
    parts = inputs["clip"][0, :, 3] * 0.225 + 0.5
    expected = torch.from_numpy(face_part_mask(data.images.points[3], 32)).float() / 255
    assert torch.allclose(parts[5], expected, atol=1e-6)
    assert parts[7].abs().max() < 1e-6  # no landmarks, no parts
    assert parts[0].abs().max() < 1e-6


def test_inputs_of_clips_have_audio_before_or_around_frame() -> None:
    data = synthetic_data()
    builder, rows = build_inputs("M5", data), np.array([[0, 1, 2, 3, 4, 5, 6, 7]])
    track = data.tracks.get(data.train.media_of(7))
    offset_s = float(data.train.audio_offset_s[7])
    assert offset_s == pytest.approx(0.5 + 7 / FPS)
    mel = builder.inputs(rows)["mel"][0].numpy()
    assert (mel == track.latest_frames(offset_s, 101)).all()
    builder.form = replace(builder.form, causal=False)
    assert (builder.inputs(rows)["mel"][0].numpy() == track.window_around(offset_s, 0.5, 0.5)).all()


def test_inputs_of_window_without_audio_are_masked() -> None:
    data = synthetic_data({"loud": 14, "silent": 14})
    inputs = build_inputs("M2", data).inputs(np.array([np.arange(6), 14 + np.arange(6)]))
    assert inputs["mel_real"].tolist() == [1, 0]
    assert inputs["mel_index"][1].tolist() == [0] * 6
    assert inputs["mel"].shape[0] == 2


def test_inputs_of_causal_window_have_preceding_second_of_audio() -> None:
    data = synthetic_data({"one": 60})
    rows = np.arange(50, 56)
    inputs = build_inputs("M2", data).inputs(rows[None])
    track = data.tracks.get(data.train.media_of(0))
    known = [track.frames_available(float(t)) for t in data.train.audio_offset_s[rows]]
    first = known[0] // 10 * 10 - 100
    assert first > 0
    assert inputs["mel_index"][0].tolist() == [k - first for k in known]
    length = known[-1] // 10 * 10 - first
    assert (inputs["mel"][0, :length].numpy() == track.chunk(first, first + length)).all()


def test_inputs_past_end_of_audio_are_silence() -> None:
    data = synthetic_data({"one": 200})  # 8.5 s of video, 4 s of audio
    inputs = build_inputs("M2", data).inputs(np.arange(190, 196)[None])
    assert torch.isfinite(inputs["mel"]).all()
    assert inputs["mel"].unique().numel() == 1
    assert inputs["mel_real"].tolist() == [1]


@pytest.mark.parametrize("jitter", ["light", "published", "none"])
@pytest.mark.parametrize("name", [f"M{i}" for i in (1, 2, 3, 4, 5, 6, 8)])
def test_batch_of_each_recipe_matches_input_forms(name: str, jitter: str) -> None:
    data = synthetic_data(size_px=48)
    options = ["net.window=8"] if name == "M8" else []
    builder = build_inputs(name, data, f"sampling.jitter={jitter}", *options)
    rows = (
        np.arange(2 * builder.form.length).reshape(2, -1)
        if builder.form.length > 1
        else np.arange(2)
    )
    batch = builder.batch(rows, ALL, (1, 2))
    forms = {form.name: form.shape for form in build_network(builder.recipe.net).input_forms()}
    for input_name, shape in forms.items():
        assert batch[input_name].shape[0] == 2
        assert input_name == "mel" or batch[input_name].shape[1:] == shape
        assert torch.isfinite(batch[input_name]).all()


@pytest.mark.parametrize("paper", ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8"])
def test_finished_batch_equals_images_changed_one_by_one(paper: str) -> None:
    """Published augmentation of a batch against each sample's images in float64."""
    data = synthetic_data(size_px=32)
    builder = build_inputs(paper, data, "sampling.jitter=published")
    rows = np.arange(6)
    if builder.form.form != "frames":
        rows = rows[:, None] + np.arange(builder.form.length)
    raw = builder.raw_batch(rows, ALL if paper != "M4" else ("AU",), (1, 3))
    assert raw["pixels"].dtype == torch.uint8, "a quarter of the bytes of floats travel"
    name = "clip" if builder.form.form == "clips" else "crops"
    finished = builder.finish(raw)[name]
    assert not builder.finish(raw).keys() & {"pixels", "parts"}
    size = builder.form.size_px
    for k in range(len(rows)):
        images = raw["pixels"][k].double().reshape(-1, 32, 32, 3).permute(0, 3, 1, 2) / 255
        images = torch.nn.functional.interpolate(images, (size, size), mode="bilinear")
        changes = {
            key.removeprefix("change_"): value[k : k + 1]
            for key, value in raw.items()
            if key.startswith("change_")
        }
        expected = apply_changes(images[None], changes)[0]
        channels = finished[k].reshape(-1, *finished.shape[-3:])[:, :3]
        mean, std = (
            torch.tensor(each)[:3, None, None]
            for each in (builder._normalization.mean, builder._normalization.std)
        )
        # Colors at a border of hue sectors may differ more.
        difference = (channels * std + mean - expected).abs()
        assert float((difference > 1e-3).double().mean()) < 1e-3
