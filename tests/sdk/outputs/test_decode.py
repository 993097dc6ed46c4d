"""Raw heads to probabilities, against closed forms; the decision always follows from the score."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from faceaffect.kernels.activations import sigmoid, softmax
from faceaffect.outputs.decode import decode_affect, decode_scores
from tests.sdk.tiny_bundle import tiny_spec


@pytest.mark.filterwarnings("error")
def test_sigmoid_is_the_logistic_function_even_far_out() -> None:
    logit = np.array([-np.inf, -1e30, -100, -3, -0.5, 0, 0.5, 3, 100, 1e30, np.inf], np.float32)
    expected = [0, 0, 0, *(1 / (1 + math.exp(-x)) for x in (-3, -0.5, 0, 0.5, 3)), 1, 1, 1]
    np.testing.assert_allclose(sigmoid(logit), expected, atol=1e-7)
    assert sigmoid(logit).dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_softmax_is_its_closed_form_even_far_out() -> None:
    logit = np.random.default_rng(0).normal(0, 3, (20, 7))
    expected = [[math.exp(x) / sum(math.exp(y) for y in row) for x in row] for row in logit]
    np.testing.assert_allclose(softmax(logit.astype(np.float32)), expected, rtol=1e-4)
    np.testing.assert_allclose(softmax(np.float32([[1e4, 0, -1e4]])), [[1, 0, 0]])
    np.testing.assert_allclose(softmax(np.full((2, 7), -1e30, np.float32)), 1 / 7, rtol=1e-5)


def test_softmax_ignores_a_common_shift() -> None:
    logit = np.float32([[0.5, 1, 2, -1, 0, 0, 3]])
    np.testing.assert_allclose(softmax(logit + 50), softmax(logit), rtol=1e-4)


def test_affect_of_three_faces() -> None:
    random = np.random.default_rng(1)
    au, expression, va = (random.normal(0, 4, (3, n)).astype(np.float32) for n in (12, 7, 2))
    affect = decode_affect(au, expression, va, tiny_spec())
    assert len(affect) == 3
    np.testing.assert_array_equal(affect.au_active, au >= 0)  # thresholds of 0.5
    np.testing.assert_allclose(affect.expression_probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(affect.valence, np.tanh(va[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(affect.arousal, np.tanh(va[:, 1]), rtol=1e-5)


def test_each_action_unit_has_its_own_threshold() -> None:
    spec = replace(tiny_spec(), au_thresholds=tuple(np.linspace(0.05, 0.95, 12).tolist()))
    affect = decode_affect(
        *(np.zeros((1, n), np.float32) for n in (12, 7, 2)), spec
    )  # probabilities of 0.5
    np.testing.assert_array_equal(affect.au_active[0], [True] * 6 + [False] * 6)


def test_values_that_are_no_raw_ones_are_clipped_and_missing_ones_stay_missing() -> None:
    va = np.float32([[-3, 0.25], [np.nan, 7]])
    scores = decode_scores(*(np.zeros((2, n), np.float32) for n in (12, 7)), va, is_raw=False)
    np.testing.assert_array_equal(scores[:, 19:], np.float32([[-1, 0.25], [np.nan, 1]]))
    missing = decode_scores(
        np.full((1, 12), np.nan, np.float32), np.full((1, 7), np.nan, np.float32), va[:1]
    )
    assert np.isnan(missing[0, :19]).all()
    np.testing.assert_allclose(missing[0, 19:], np.tanh(va[0]), rtol=1e-6)


def test_nobody() -> None:
    affect = decode_affect(*(np.zeros((0, n), np.float32) for n in (12, 7, 2)), tiny_spec())
    assert len(affect) == 0
    assert affect.au_active.shape == (0, 12)
