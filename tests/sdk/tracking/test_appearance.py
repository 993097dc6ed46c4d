"""Portraits: unit length, blind to light, alike for one image and unlike for two."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faceaffect.tracking.appearance import appearance_descriptors, similarity
from faceaffect.types import FloatArray


def crop(seed: int, size_px: int = 112) -> FloatArray:
    coarse = np.random.default_rng(seed).normal(0, 1, (8, 8, 3)).astype(np.float32)
    return cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)


def one(values: FloatArray) -> FloatArray:
    return appearance_descriptors(np.ascontiguousarray(values[None]))[0]


@pytest.mark.parametrize("size_px", [28, 64, 112, 224])
def test_length_and_shape(size_px: int) -> None:
    portraits = appearance_descriptors(np.stack([crop(seed, size_px) for seed in range(5)]))
    assert portraits.shape == (5, 432)
    lengths = np.linalg.norm(portraits, axis=1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)
    assert similarity(portraits[0], portraits[0]) == pytest.approx(1, abs=1e-4)


def test_light_changes_nothing() -> None:
    face = crop(1)
    brighter = 0.7 * face + np.float32([0.3, 0.5, 0.8])[:, None, None]
    assert similarity(one(face), one(brighter)) > 0.999


def test_noise_changes_little_and_another_image_much() -> None:
    face = crop(1)
    noisy = face + np.random.default_rng(0).normal(0, 0.2, face.shape).astype(np.float32)
    assert similarity(one(face), one(noisy)) > 0.97
    others = [similarity(one(face), one(crop(seed))) for seed in range(2, 22)]
    assert max(others) < 0.75


def test_flat_crops_and_nobody() -> None:
    assert np.isfinite(appearance_descriptors(np.zeros((2, 3, 112, 112), np.float32))).all()
    assert appearance_descriptors(np.zeros((0, 3, 112, 112), np.float32)).shape == (0, 432)
