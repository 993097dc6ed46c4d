"""Appearance descriptors: unit length, invariant to illumination, similar only for one image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faceaffect.tracking.appearance import appearance_descriptors, cosine_similarity
from faceaffect.types import FloatArray


def crop(seed: int, size_px: int = 112) -> FloatArray:
    coarse = np.random.default_rng(seed).normal(0, 1, (8, 8, 3)).astype(np.float32)
    return cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)


def descriptor(values: FloatArray) -> FloatArray:
    return appearance_descriptors(np.ascontiguousarray(values[None]))[0]


@pytest.mark.parametrize("size_px", [28, 64, 112, 224])
def test_descriptors_have_unit_length(size_px: int) -> None:
    descriptors = appearance_descriptors(np.stack([crop(seed, size_px) for seed in range(5)]))
    assert descriptors.shape == (5, 432)
    lengths = np.linalg.norm(descriptors, axis=1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)
    assert cosine_similarity(descriptors[0], descriptors[0]) == pytest.approx(1, abs=1e-4)


def test_descriptors_with_other_illumination_are_similar() -> None:
    face = crop(1)
    brighter = 0.7 * face + np.float32([0.3, 0.5, 0.8])[:, None, None]
    assert cosine_similarity(descriptor(face), descriptor(brighter)) > 0.999


def test_descriptors_with_noise_are_similar_and_of_other_image_are_not() -> None:
    face = crop(1)
    noisy = face + np.random.default_rng(0).normal(0, 0.2, face.shape).astype(np.float32)
    assert cosine_similarity(descriptor(face), descriptor(noisy)) > 0.97
    others = [cosine_similarity(descriptor(face), descriptor(crop(seed))) for seed in range(2, 22)]
    assert max(others) < 0.75


def test_descriptors_of_flat_or_no_crops_are_finite() -> None:
    assert np.isfinite(appearance_descriptors(np.zeros((2, 3, 112, 112), np.float32))).all()
    assert appearance_descriptors(np.zeros((0, 3, 112, 112), np.float32)).shape == (0, 432)
