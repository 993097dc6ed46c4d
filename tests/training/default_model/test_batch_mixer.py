"""Batches of the default model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.default_model.synthetic_faces import tiny_mixer
from training.default_model.batch_mixer import (
    au_balanced_weights,
    class_balanced_weights,
    flip_half,
    mixup,
)
from training.losses.expression import inverse_frequency_weights
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train


def test_build_gives_crops_without_face_no_weight() -> None:
    batch = tiny_mixer().build(5, 112)
    has_no_face = batch["face"] == 0
    assert int(has_no_face.sum()) == 2
    for name in ("landmark_weight", "pose_weight", "expression_weight", "va_weight", "au_weight"):
        assert not batch[name][has_no_face].any()


def test_class_balanced_weights_oversample_rare_expressions() -> None:
    expression = np.eye(7, dtype=np.float32)[[0] * 90 + [2] * 10]
    uniform = class_balanced_weights(expression, 0.0)
    balanced = class_balanced_weights(expression, 1.0)
    assert uniform[90:].sum() == pytest.approx(0.1)
    assert balanced[90:].sum() == pytest.approx(0.5, abs=0.01)
    weights = inverse_frequency_weights(expression, np.ones(100, np.float32))
    assert weights[2] > weights[0]


def test_flip_half_swaps_sides() -> None:
    crops = torch.rand(64, 3, 16, 16)
    landmarks = torch.from_numpy(MEAN_SHAPE_PX).repeat(64, 1, 1) + torch.tensor([3.0, 0.0])
    batch = {
        "crops": crops.clone(),
        "landmarks": landmarks.clone(),
        "pose": torch.tensor([[20.0, 5.0, -7.0]]).repeat(64, 1),
    }
    flip_half(batch, torch.Generator().manual_seed(0))
    is_mirrored = batch["pose"][:, 0] < 0
    assert 10 < int(is_mirrored.sum()) < 54
    assert torch.equal(batch["crops"][is_mirrored], crops[is_mirrored].flip(3))
    assert torch.equal(batch["crops"][~is_mirrored], crops[~is_mirrored])
    assert torch.allclose(batch["pose"][is_mirrored], torch.tensor([-20.0, 5.0, 7.0]))
    eyes = batch["landmarks"][:, [36, 45], 0]
    assert (eyes[:, 0] < eyes[:, 1]).all()  # the subject's right eye stays on the image's left
    assert torch.allclose(
        batch["landmarks"][is_mirrored][:, 30, 0], 111 - landmarks[is_mirrored][:, 30, 0]
    )


def test_mixup_blends_images_and_labels_alike() -> None:
    batch = {
        "crops": torch.arange(10.0)[:, None, None, None].expand(10, 3, 4, 4).clone(),
        "expression": torch.arange(10.0)[:, None].expand(10, 7).clone(),
        "va": torch.arange(10.0)[:, None].expand(10, 2).clone(),
        "au": torch.arange(10.0)[:, None].expand(10, 12).clone(),
        "expression_weight": torch.tensor([1.0] * 8 + [0.0] * 2),
        **{name: torch.ones(10) for name in ("va_weight", "landmark_weight", "pose_weight")},
        "au_weight": torch.ones(10, 12),
    }
    batch["au_weight"][0, 3] = 0
    known = batch["au_weight"].clone()
    source = np.array([0] * 6 + [1] * 4)
    mixup(batch, 0.99, np.random.default_rng(0), source)
    blended = batch["landmark_weight"] == 0
    assert blended.tolist() == [True] * 8 + [False] * 2
    for name in ("expression", "va", "au"):
        torch.testing.assert_close(batch[name][:, 0], batch["crops"][:, 0, 0, 0])
    assert (batch["crops"][:6, 0, 0, 0] <= 5).all()  # of the first source alone
    assert (batch["crops"][6:8, 0, 0, 0] >= 6).all()
    assert (batch["crops"][:8, 0, 0, 0] != torch.arange(8.0)).any()
    lost = (batch["au_weight"] == 0) & (known > 0)
    assert lost[:, 3].sum() == 1  # the face that was blended with one whose AU is unlabeled
    assert not lost[:, :3].any()


def test_mixup_changes_given_fraction_of_faces() -> None:
    count = 40
    batch = {
        name: torch.ones(count)
        for name in ("expression_weight", "va_weight", "landmark_weight", "pose_weight")
    }
    batch |= {
        "crops": torch.rand(count, 3, 4, 4),
        "expression": torch.rand(count, 7),
        "va": torch.rand(count, 2),
    }
    batch |= {"au": torch.rand(count, 12), "au_weight": torch.ones(count, 12)}
    mixup(batch, 0.5, np.random.default_rng(0), np.zeros(count, np.int64))
    assert int((batch["landmark_weight"] == 0).sum()) == 20


def test_au_balanced_weights_draw_rare_units_more_often() -> None:
    au = np.zeros((100, 12), np.float32)
    au[:50, 0], au[50:52, 1] = 1, 1
    chance = au_balanced_weights(au, 0.5)
    assert chance.sum() == pytest.approx(1)
    assert chance[50] / chance[0] == pytest.approx((0.501 / 0.021) ** 0.5, rel=1e-5)
    assert chance[99] == pytest.approx(chance[0]), (
        "faces without any unit are as common as those with the commonest"
    )
    np.testing.assert_allclose(au_balanced_weights(au, 0.0), 0.01)
