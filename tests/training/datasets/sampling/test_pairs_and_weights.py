"""Ranking pairs and sampling weights."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from tests.training.datasets.synthetic_table import make_synthetic_table
from training.datasets.sampling.pairs import au_pairs, draw_pairs
from training.datasets.sampling.sample_weights import (
    class_and_va_balanced_weights,
    class_balanced_weights,
    va_balanced_weights,
)

REQUIRES = ("pyarrow",)

AU12 = AU_NAMES.index("AU12")


def units(value: float) -> list[float]:
    row = [0.0] * 12
    row[AU12] = value
    return row


def test_draw_pairs_are_within_video_and_differ():
    random = np.random.default_rng(0)
    values = random.integers(0, 3, 60).astype(np.float32)
    videos = np.repeat(np.arange(6), 10).astype(np.int32)
    values[videos == 5] = 1  # a video that cannot give a pair
    rows = np.flatnonzero(random.random(60) < 0.8)
    pairs = draw_pairs(values, videos, rows, 500, random)
    assert len(pairs) == 500
    first, second = pairs.T
    assert (videos[first] == videos[second]).all()
    order = np.sign(values[second] - values[first])
    assert (order != 0).all()
    assert set(pairs.ravel()) <= set(rows.tolist())
    assert 5 not in videos[first]
    assert abs(order.mean()) < 0.15


def test_draw_pairs_are_uniform_over_labels_and_videos():
    # Labels 0/1 in two videos, 0/2 in one with a hundred times the frames.
    values = np.array([0, 1, 0, 1] + [0, 2] * 100, np.float32)
    videos = np.array([0, 0, 1, 1] + [2] * 200, np.int32)
    pairs = draw_pairs(values, videos, np.arange(204), 4000, np.random.default_rng(1))
    drawn = Counter(videos[pairs[:, 0]].tolist())
    assert drawn[2] / 4000 == pytest.approx(0.5, abs=0.03)
    assert drawn[0] / 4000 == pytest.approx(0.25, abs=0.03)
    assert drawn[1] / 4000 == pytest.approx(0.25, abs=0.03)


def test_draw_pairs_without_different_labels_raises():
    with pytest.raises(ValueError, match="no video has frames of different labels"):
        draw_pairs(
            np.array([0, 1], np.float32),
            np.array([0, 1], np.int32),
            np.arange(2),
            5,
            np.random.default_rng(0),
        )


def test_au_pairs_use_intensity_where_available():
    intensity = np.full((8, 12), np.nan, np.float32)
    intensity[:3, AU12] = [0, 1, 4]  # presence alone would call the first two equal
    table = make_synthetic_table(
        {"graded": [1, 2, 3, 4], "plain": [1, 2, 3, 4]},
        au=[units(0), units(0), units(1), units(1), units(0), units(1), None, units(1)],
        intensity=intensity,
        no_crop=(7,),
    )
    pairs = au_pairs(table, AU12, 300, np.random.default_rng(0))
    drawn = {frozenset(pair) for pair in pairs.tolist()}
    assert drawn == {frozenset({0, 1}), frozenset({0, 2}), frozenset({1, 2}), frozenset({4, 5})}


def test_class_balanced_weights_equalize_classes():
    expression = [0] * 50 + [3] * 5 + [6] + [None]
    table = make_synthetic_table({"v": list(range(57))}, expression=expression)
    weights = class_balanced_weights(table, np.arange(57))
    assert [weights[:50].sum(), weights[50:55].sum(), weights[55]] == pytest.approx([1, 1, 1])
    assert weights[56] == 0


def test_va_balanced_weights_equalize_cells():
    numpy_random = np.random.default_rng(4)
    points = [tuple(p) for p in numpy_random.uniform(-1, 1, (300, 2))] + [
        (1.0, -1.0),
        (1.0, 1.0),
        None,
    ]
    table = make_synthetic_table({"v": list(range(len(points)))}, va=points)
    weights = va_balanced_weights(table, np.arange(len(points)))
    values = np.array(points[:-1])
    counts = np.histogram2d(values[:, 0], values[:, 1], bins=20, range=[[-1, 1], [-1, 1]])[0]
    edges = np.linspace(-1, 1, 21)
    for k, (v, a) in enumerate(values):
        cell = (
            min(np.searchsorted(edges, v, "right") - 1, 19),
            min(np.searchsorted(edges, a, "right") - 1, 19),
        )
        assert weights[k] == pytest.approx(1 / counts[cell])
    assert weights[-1] == 0
    assert weights.sum() == pytest.approx((counts > 0).sum())


def test_class_and_va_balanced_weights_is_sum():
    table = make_synthetic_table(
        {"v": [1, 2, 3]}, expression=[0, 0, 1], va=[(0, 0), None, (0.9, 0.9)]
    )
    assert class_and_va_balanced_weights(table, np.arange(3)) == pytest.approx([1.5, 0.5, 2])
