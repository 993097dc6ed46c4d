"""Bins, their centers and expectations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.models.tasks.value_bins import ValueBins, bin_of

pytestmark = pytest.mark.train


def test_bin_of_matches_numpy_digitize() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 500)
    expected = np.digitize(values, np.linspace(-1, 1, 21)[1:-1])
    assert np.array_equal(bin_of(torch.from_numpy(values)).numpy(), expected)
    assert bin_of(torch.tensor([-1.0, -3.0, 1.0, 2.0])).tolist() == [0, 0, 19, 19]


def test_value_bins_of_certain_bin_returns_center() -> None:
    logits = torch.full((1, 40), -50.0)
    logits[0, 3], logits[0, 20 + 19] = 50, 50
    bins, va = ValueBins()(logits)
    assert bins.shape == (1, 2, 20)
    assert va[0].tolist() == pytest.approx([-0.65, 0.95])


def test_value_bins_of_uniform_logits_returns_zero() -> None:
    assert ValueBins()(torch.zeros(2, 7, 40))[1].abs().max() < 1e-6
