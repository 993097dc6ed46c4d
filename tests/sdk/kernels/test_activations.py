"""Sigmoid and softmax against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceaffect.kernels.activations import sigmoid, softmax


@pytest.mark.filterwarnings("error")
def test_sigmoid_with_extreme_logits_is_exact() -> None:
    logit = np.array([-np.inf, -1e30, -100, -3, -0.5, 0, 0.5, 3, 100, 1e30, np.inf], np.float32)
    expected = [0, 0, 0, *(1 / (1 + math.exp(-x)) for x in (-3, -0.5, 0, 0.5, 3)), 1, 1, 1]
    np.testing.assert_allclose(sigmoid(logit), expected, atol=1e-7)
    assert sigmoid(logit).dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_softmax_with_extreme_logits_is_exact() -> None:
    logit = np.random.default_rng(0).normal(0, 3, (20, 7))
    expected = [[math.exp(x) / sum(math.exp(y) for y in row) for x in row] for row in logit]
    np.testing.assert_allclose(softmax(logit.astype(np.float32)), expected, rtol=1e-4)
    np.testing.assert_allclose(softmax(np.float32([[1e4, 0, -1e4]])), [[1, 0, 0]])
    np.testing.assert_allclose(softmax(np.full((2, 7), -1e30, np.float32)), 1 / 7, rtol=1e-5)


def test_softmax_with_common_shift_is_unchanged() -> None:
    logit = np.float32([[0.5, 1, 2, -1, 0, 0, 3]])
    np.testing.assert_allclose(softmax(logit + 50), softmax(logit), rtol=1e-4)
