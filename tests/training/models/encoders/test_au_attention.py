"""Attention maps compared with a cell-by-cell reference."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from faceaffect.labels import AU_NAMES
from training.models.encoders.au_attention import CENTERS, POINTS, AuAttention
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train
MEAN = torch.from_numpy(MEAN_SHAPE_PX[list(POINTS)])


def maps_cell_by_cell(attention: AuAttention, landmarks: Tensor) -> Tensor:
    maps = torch.zeros(len(landmarks), len(AU_NAMES), attention.grid, attention.grid)
    cells = range(attention.grid)
    for n, both in enumerate(attention.centers(landmarks).tolist()):
        for points in both:
            for k, (column, row) in enumerate(points):
                for h, w in itertools.product(cells, cells):
                    if abs(h - row) <= attention.reach and abs(w - column) <= attention.reach:
                        distance = torch.tensor(abs(h - row) + abs(w - column))
                        value = torch.relu(1 - distance * attention.slope)
                        maps[n, k, h, w] = torch.maximum(maps[n, k, h, w], value)
    return maps


@pytest.mark.parametrize(("size", "grid"), [(176, 52), (48, 20)])
def test_au_attention_equals_reference(size: int, grid: int) -> None:
    torch.manual_seed(0)
    attention = AuAttention(size, grid)
    landmarks = MEAN * (size / 112) + torch.randn(2, 49, 2) * size / 20
    landmarks[1] += size * 0.4  # some centers outside of the image
    assert torch.equal(attention(landmarks), maps_cell_by_cell(attention, landmarks))


def test_au_attention_of_published_grid_has_published_values() -> None:
    attention = AuAttention(176, 52)
    assert attention.reach == 4
    maps = attention(MEAN[None] * (176 / 112))[0]
    assert maps.max() == 1
    # 1 - 0.56 / (52 * 0.14) per step of the city-block distance
    assert sorted(maps.unique().tolist())[-2] == pytest.approx(1 - 0.56 / 7.28)
    assert (maps > 0).sum(dim=(1, 2)).max() <= 2 * 9 * 9


def test_au_attention_is_located_at_au() -> None:
    maps = AuAttention(112, 36)(MEAN[None])[0]
    rows = torch.arange(36.0)
    height = {
        name: float((maps[k].sum(dim=1) * rows).sum() / maps[k].sum())
        for k, name in enumerate(AU_NAMES)
    }
    assert (
        height["AU1"]
        < height["AU4"]
        < height["AU7"]
        < height["AU6"]
        < height["AU12"]
        < height["AU26"]
    )
    assert set(CENTERS) == set(AU_NAMES)
    across = (maps.sum(dim=1) * rows).sum(dim=1) / maps.sum(dim=(1, 2))
    assert (across - 17.5).abs().max() < 1  # the face is symmetric to within a cell


def test_au_attention_has_no_gradient() -> None:
    landmarks = MEAN[None].clone().requires_grad_()
    assert not AuAttention(112, 36)(landmarks).requires_grad
