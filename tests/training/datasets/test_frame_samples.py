"""Samples of a frame table: crops, labels, masks and audio."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch

from faceaffect.audio.mel import MelConfig
from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, keypoints_from_landmarks
from tests.training.datasets.synthetic_table import make_synthetic_table
from training.audio.mel_track import MelTrack, MelTracks
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_samples import FrameSamples, Sample, SampleConfig
from training.datasets.sampling.label_samplers import MixedSampler, TaskRows
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train


REQUIRES = ("pyarrow",)

RANDOM = np.random.default_rng(0)
UNITS = [0.0] * 11 + [1.0]


@pytest.fixture
def table(tmp_path):
    """Three frames of `a` (the second without a crop), two of `b`; blue encodes the row."""
    table = make_synthetic_table(
        {"a": [1, 2, 3], "b": [1, 2]},
        au=[UNITS, UNITS, None, None, UNITS],
        expression=[3, 2, None, 6, None],
        va=[None, (0.1, 0.2), (0.5, -0.5), None, None],
        no_crop=(1,),
        root=tmp_path,
    )
    for row in (0, 2, 3, 4):
        path = table.path_of(row)
        path.parent.mkdir(exist_ok=True)
        bgr = np.full((112, 112, 3), (10 * row, 50, 200), np.uint8)
        cv2.imwrite(str(path), bgr)
    return table


def test_batch_holds_images_labels_and_masks(table):
    batch = FrameSamples(table).batch(np.array([4, 0, 3]))
    assert batch["image"].shape == (3, 3, 112, 112)
    assert batch["image"][:, 2, 50, 50].tolist() == pytest.approx([40 / 255, 0, 30 / 255])
    assert batch["image"][0, 0].mean() == pytest.approx(200 / 255)  # red comes first
    assert batch["au_mask"].all(1).tolist() == [True, True, False]
    assert batch["expression"].tolist() == [0, 3, 6]
    assert batch["expression_mask"].tolist() == [False, True, True]
    assert batch["expression"].dtype == torch.int64


def test_batch_of_crops_keeps_pixels(tmp_path):
    table = make_synthetic_table({"v": [1]}, root=tmp_path)
    path = table.path_of(0)
    path.parent.mkdir()
    pixels = RANDOM.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    cv2.imwrite(str(path), pixels)
    image = FrameSamples(table).batch(np.array([0]))["image"][0].numpy()
    np.testing.assert_allclose(image.transpose(1, 2, 0)[:, :, ::-1] * 255, pixels, atol=1e-3)


def test_batch_of_missing_frames_is_black_and_unlabeled(table):
    batch = FrameSamples(table, SampleConfig(size_px=32)).batch(np.array([[-1, 0, 1], [2, 3, -1]]))
    assert batch["image"].shape == (2, 3, 3, 32, 32)
    assert batch["is_frame"].tolist() == [[False, True, False], [True, True, False]]
    assert batch["image"].amax((2, 3, 4)).gt(0).tolist() == batch["is_frame"].tolist()
    for name in ("au_mask", "expression_mask", "va_mask"):
        mask = batch[name].reshape(2, 3, -1).any(2)
        assert not mask[~batch["is_frame"]].any(), name
    assert batch["va"][1, 0].tolist() == [0.5, -0.5]
    assert batch["va"][0, 2].tolist() == [0, 0]  # row 1 has a label but no image


def test_sample_equals_batch_row(table):
    samples = FrameSamples(table)
    sample = samples.sample(2)
    assert {f.name for f in fields(Sample)} >= {
        "image",
        "audio",
        "landmarks",
        "au",
        "va",
        "mask",
        "video",
        "frame",
        "source",
    }
    assert (sample.video, sample.frame, sample.source) == ("a", 3, "synthetic")
    assert sample.mask.tolist() == [False, False, True]
    assert sample.image.shape == (3, 112, 112)
    clip = samples.sample(np.array([-1, 3, 4]))
    assert clip.image.shape == (3, 3, 112, 112)
    assert (clip.video, clip.frame) == ("b", 2)
    with pytest.raises(ValueError, match="at least one frame"):
        samples.sample(np.array([-1, -1]))


def test_batch_aligns_faces_by_landmarks(tmp_path):
    table = make_synthetic_table({"v": [1]}, root=tmp_path)
    points = (MEAN_SHAPE_PX * 1.7 + np.array([60, 30])).astype(np.float32)
    table = replace(table, landmarks_xy=points[None])
    path = table.path_of(0)
    path.parent.mkdir()
    nose = points[30]
    y, x = np.mgrid[:300, :320]
    blob = 255 * np.exp(-((x - nose[0]) ** 2 + (y - nose[1]) ** 2) / 40)
    cv2.imwrite(str(path), np.repeat(blob[:, :, None], 3, 2).astype(np.uint8))
    straight = np.abs(
        keypoints_from_landmarks(MEAN_SHAPE_PX[None])[0] - CANONICAL_KEYPOINTS_XY
    ).max()
    for size_px in (112, 224):
        batch = FrameSamples(table, SampleConfig(size_px=size_px)).batch(np.array([0]))
        landmarks, image = batch["landmarks"][0].numpy(), batch["image"][0, 0].numpy()
        template = (CANONICAL_KEYPOINTS_XY + 0.5) * (size_px / 112) - 0.5
        # The least-squares fit leaves what the mean face itself differs from the template.
        assert (
            np.abs(keypoints_from_landmarks(landmarks[None])[0] - template).max()
            < straight * size_px / 112 + 1
        )
        row, column = np.mgrid[:size_px, :size_px]
        center = [(image * column).sum() / image.sum(), (image * row).sum() / image.sum()]
        assert landmarks[30] == pytest.approx(center, abs=0.3)


def test_batch_crops_faces_around_box(tmp_path):
    table = replace(
        make_synthetic_table({"v": [1]}, root=tmp_path),
        box=np.array([[40, 60, 80, 90]], np.float32),
    )
    path = table.path_of(0)
    path.parent.mkdir()
    image = np.zeros((200, 200, 3), np.uint8)
    image[55:95, 40:80] = 255  # the square that a margin of 0 cuts out
    cv2.imwrite(str(path), image)
    exact = FrameSamples(table, SampleConfig(size_px=40, box_margin=0)).batch(np.array([0]))[
        "image"
    ]
    assert exact.min() == 1
    wider = FrameSamples(table, SampleConfig(size_px=60, box_margin=0.5)).batch(np.array([0]))[
        "image"
    ][0, 0]
    assert wider[10:50, 10:50].min() == 1
    assert wider[:10].max() == wider[50:].max() == wider[:, :10].max() == 0


def test_batch_with_broken_image_names_it(table):
    table.path_of(3).write_bytes(b"\xff\xd8 broken")
    with pytest.raises(BrokenFileError, match=r"00001\.png: cannot be decoded as an image"):
        FrameSamples(table).batch(np.array([3]))


def test_load_prefetches_steps_in_order(table):
    samples = FrameSamples(table, SampleConfig(size_px=16))
    sampler = MixedSampler(TaskRows(("AU", "EXPR"), np.array([0, 2, 3, 4, 0, 2, 3])), 2, seed=1)
    expected = [step.parts[0].rows.tolist() for step in sampler.steps(0)]
    loaded = list(samples.load(sampler.steps(0), workers=3))
    assert [batch["row"].tolist() for ((_, batch),) in loaded] == expected
    table.path_of(3).unlink()
    with pytest.raises(BrokenFileError):
        list(samples.load(sampler.steps(0)))


SMALL = MelConfig(rate_hz=1600, window_s=0.02, hop_s=0.01, fft=64, bands=6, high_hz=800)


@pytest.fixture
def table_with_audio(table):
    """`a` has audio that gets louder; `b` has none. Frame 1 of `a` is at 1 s, frame 3 at 1.08 s."""
    offsets = np.array([1, 1.04, 1.08, np.nan, np.nan])
    track = MelTrack(
        np.linspace(1, 2, 300, dtype=np.float32)[:, None] * np.ones((1, 6), np.float32), SMALL
    )

    class Tracks(MelTracks):
        def get(self, path):
            return track if path.name == "a.mp4" else None

    return replace(table, media=("a.mp4", "b.mp4"), audio_offset_s=offsets), track, Tracks(SMALL)


def test_batch_with_audio_around_frame(table_with_audio):
    table, track, tracks = table_with_audio
    config = SampleConfig(size_px=16, audio="around", before_s=0.5, after_s=0.2)
    batch = FrameSamples(table, config, tracks).batch(np.array([0, 2, 3]))
    assert batch["audio"].shape == (3, 1, 6, 71)
    assert batch["has_audio"].tolist() == [True, True, False]
    np.testing.assert_array_equal(batch["audio"][1, 0], track.window_around(1.08, 0.5, 0.2))
    assert batch["audio"][2].unique().numel() == 1  # silence
    clip = FrameSamples(table, config, tracks).batch(np.array([[-1, 0, 2]]))
    np.testing.assert_array_equal(
        clip["audio"][0, 0], track.window_around(1.08, 0.5, 0.2)
    )  # about its last frame


def test_batch_with_audio_of_window(table_with_audio):
    table, track, tracks = table_with_audio
    config = SampleConfig(size_px=16, audio="between", audio_frames=20)
    batch = FrameSamples(table, config, tracks).batch(np.array([[0, 1, 2], [3, 4, 4]]))
    assert batch["audio"].shape == (2, 1, 6, 20)
    np.testing.assert_array_equal(batch["audio"][0, 0], track.window_between(1.0, 1.12, 20))
    assert batch["has_audio"].tolist() == [True, False]
