"""What is done to crops: measured on the images that come out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.ablations.corrupted_images import CHANGES, COVERS, hidden_units, row_random
from training.models.mean_shape import MEAN_SHAPE_PX

SIDE = 64
POINTS = (MEAN_SHAPE_PX / 112).astype(np.float32)


def fine_pattern() -> np.ndarray:
    """Stripes of two pixels, which no coarse image can hold."""
    stripes = np.where((np.arange(SIDE) // 2) % 2, 230, 20).astype(np.uint8)
    return np.repeat(np.tile(stripes, (SIDE, 1))[..., None], 3, axis=2)


def changed(name: str, amount: float, path: str = "a") -> np.ndarray:
    return CHANGES[name](fine_pattern(), amount, POINTS, row_random(path))


def test_coarse_images_hold_less_the_coarser_they_are() -> None:
    contrast = [float(changed("coarse", amount).std()) for amount in (0.9, 0.5, 0.2)]
    assert contrast[0] > contrast[1] > contrast[2]
    flat = np.full((SIDE, SIDE, 3), 77, np.uint8)
    assert np.array_equal(CHANGES["coarse"](flat, 0.3, POINTS, row_random("a")), flat)


def test_a_cover_hides_its_part_and_no_other() -> None:
    middles = {"brows": POINTS[17:27], "eyes": POINTS[36:48], "mouth": POINTS[48:68]}
    for k, name in enumerate(COVERS, start=1):
        image = changed("covered", k, path=name)
        is_plain = (np.abs(cv2.Laplacian(image[..., 0].astype(np.float32), -1)) < 1) & (
            image != fine_pattern()
        ).any(axis=2)
        for other, points in middles.items():
            at = np.rint(points * SIDE).astype(int)
            hidden = is_plain[at[:, 1], at[:, 0]].mean()
            assert (
                hidden > 0.9
                if other == name
                else hidden < 0.3 or {name, other} == {"brows", "eyes"}
            ), (name, other)
    assert np.array_equal(changed("covered", 0), fine_pattern())


def test_noise_is_strong_and_the_same_each_time() -> None:
    gray = np.full((SIDE, SIDE, 3), 128, np.uint8)
    first = CHANGES["noisy"](gray, 1, POINTS, row_random("a"))
    assert 15 < first.std() < 60
    assert first.mean() < 128
    assert np.array_equal(first, CHANGES["noisy"](gray, 1, POINTS, row_random("a")))
    assert not np.array_equal(first, CHANGES["noisy"](gray, 1, POINTS, row_random("b")))


def test_every_unit_is_hidden_by_exactly_one_cover() -> None:
    hidden = hidden_units(np.array([0, 1, 2, 3], np.float32))
    assert not hidden[0].any()
    assert (hidden[1:].sum(axis=0) == 1).all()


def test_chance_follows_the_path() -> None:
    assert row_random("x").random() == row_random("x").random()
    assert row_random("x").random() != pytest.approx(row_random("y").random())
