from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.ablations.corrupted_images import CORRUPTIONS, FACE_PARTS, crop_rng, find_occluded_aus
from training.models.mean_shape import MEAN_SHAPE_PX

SIDE = 64
POINTS = (MEAN_SHAPE_PX / 112).astype(np.float32)


def fine_pattern() -> np.ndarray:
    """Stripes of two pixels, which vanish at low resolution."""
    stripes = np.where((np.arange(SIDE) // 2) % 2, 230, 20).astype(np.uint8)
    return np.repeat(np.tile(stripes, (SIDE, 1))[..., None], 3, axis=2)


def corrupted(name: str, parameter: float, path: str = "a") -> np.ndarray:
    return CORRUPTIONS[name](fine_pattern(), parameter, POINTS, crop_rng(path))


def test_lower_resolution_reduces_contrast_of_fine_pattern() -> None:
    contrast = [
        float(corrupted("low_resolution", parameter).std()) for parameter in (0.9, 0.5, 0.2)
    ]
    assert contrast[0] > contrast[1] > contrast[2]
    flat = np.full((SIDE, SIDE, 3), 77, np.uint8)
    assert np.array_equal(CORRUPTIONS["low_resolution"](flat, 0.3, POINTS, crop_rng("a")), flat)


def test_occlude_hides_only_the_selected_part() -> None:
    landmarks = {"brows": POINTS[17:27], "eyes": POINTS[36:48], "mouth": POINTS[48:68]}
    for k, name in enumerate(FACE_PARTS, start=1):
        image = corrupted("occlusion", k, path=name)
        is_plain = (np.abs(cv2.Laplacian(image[..., 0].astype(np.float32), -1)) < 1) & (
            image != fine_pattern()
        ).any(axis=2)
        for other, points in landmarks.items():
            at = np.rint(points * SIDE).astype(int)
            fraction = is_plain[at[:, 1], at[:, 0]].mean()
            assert (
                fraction > 0.9
                if other == name
                else fraction < 0.3 or {name, other} == {"brows", "eyes"}
            ), (name, other)
    assert np.array_equal(corrupted("occlusion", 0), fine_pattern())


def test_add_noise_is_strong_and_deterministic() -> None:
    gray = np.full((SIDE, SIDE, 3), 128, np.uint8)
    first = CORRUPTIONS["noise"](gray, 1, POINTS, crop_rng("a"))
    assert 15 < first.std() < 60
    assert first.mean() < 128
    assert np.array_equal(first, CORRUPTIONS["noise"](gray, 1, POINTS, crop_rng("a")))
    assert not np.array_equal(first, CORRUPTIONS["noise"](gray, 1, POINTS, crop_rng("b")))


def test_find_occluded_aus_assigns_each_au_to_one_part() -> None:
    occluded = find_occluded_aus(np.array([0, 1, 2, 3], np.float32))
    assert not occluded[0].any()
    assert (occluded[1:].sum(axis=0) == 1).all()


def test_crop_rng_is_seeded_by_path() -> None:
    assert crop_rng("x").random() == crop_rng("x").random()
    assert crop_rng("x").random() != pytest.approx(crop_rng("y").random())
