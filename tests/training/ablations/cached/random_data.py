"""Random features of people whose labels depend on them."""

from __future__ import annotations

import numpy as np
import torch

from tests.training.datasets.synthetic_table import make_synthetic_table
from training.ablations.cached.data import CachedData, Labels


def random_data(people: int = 16, frames: int = 12, width: int = 8) -> CachedData:
    """One video for each person; AUs, expression and valence-arousal are read off the features."""
    random = np.random.default_rng(0)
    count = people * frames
    features = random.normal(size=(count, width)).astype(np.float32)
    au = (features @ random.normal(size=(width, 12)) > 0).astype(np.float32)
    expression = (features @ random.normal(size=(width, 7))).argmax(axis=1)
    va = np.tanh(features @ random.normal(size=(width, 2)) / 3).astype(np.float32)
    table = make_synthetic_table(
        {f"person{k}": list(range(1, frames + 1)) for k in range(people)},
        au=au.tolist(),
        expression=expression.tolist(),
        va=va.tolist(),
    )
    ones = torch.ones(count)
    person = np.repeat(np.arange(people), frames)
    return CachedData(
        table,
        torch.from_numpy(features),
        torch.from_numpy(random.normal(size=(count, 12, 4)).astype(np.float32)),
        Labels(
            torch.from_numpy(au),
            torch.ones(count, 12),
            torch.from_numpy(expression),
            (torch.from_numpy(random.random(count)) < 0.9).float(),
            torch.from_numpy(va),
            ones,
        ),
        person,
        tuple(np.split(np.arange(count), people)),
        tuple(torch.rand(40, 64) for _ in range(people)),
        torch.from_numpy(np.tile(np.linspace(5, 40, frames).astype(np.int64), people)),
        torch.from_numpy(random.random((count, 49, 2)).astype(np.float32)),
        tuple(
            torch.from_numpy(random.normal(size=(count, 2, cells, cells)).astype(np.float32))
            for cells in (16, 8, 4)
        ),
    )
