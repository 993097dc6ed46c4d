"""Raw heads to probabilities, against closed forms; the decision always follows from the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from faceaffect.outputs.affect_decoder import AffectDecoder, AffectLogits
from faceaffect.outputs.decode import decode_affect, decode_scores
from faceaffect.system.stage_timer import StageTimer
from tests.sdk.tiny_bundle import tiny_spec


def test_decode_affect_of_three_faces() -> None:
    random = np.random.default_rng(1)
    au, expression, va = (random.normal(0, 4, (3, n)).astype(np.float32) for n in (12, 7, 2))
    affect = decode_affect(au, expression, va, tiny_spec())
    assert len(affect) == 3
    np.testing.assert_array_equal(affect.au_active, au >= 0)  # thresholds of 0.5
    np.testing.assert_allclose(affect.expression_probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(affect.valence, np.tanh(va[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(affect.arousal, np.tanh(va[:, 1]), rtol=1e-5)


def test_decode_affect_uses_threshold_of_each_au() -> None:
    spec = replace(tiny_spec(), au_thresholds=tuple(np.linspace(0.05, 0.95, 12).tolist()))
    affect = decode_affect(
        *(np.zeros((1, n), np.float32) for n in (12, 7, 2)), spec
    )  # probabilities of 0.5
    np.testing.assert_array_equal(affect.au_active[0], [True] * 6 + [False] * 6)


def test_decode_scores_clips_values_and_keeps_nan() -> None:
    va = np.float32([[-3, 0.25], [np.nan, 7]])
    scores = decode_scores(*(np.zeros((2, n), np.float32) for n in (12, 7)), va, is_raw=False)
    np.testing.assert_array_equal(scores[:, 19:], np.float32([[-1, 0.25], [np.nan, 1]]))
    missing = decode_scores(
        np.full((1, 12), np.nan, np.float32), np.full((1, 7), np.nan, np.float32), va[:1]
    )
    assert np.isnan(missing[0, :19]).all()
    np.testing.assert_allclose(missing[0, 19:], np.tanh(va[0]), rtol=1e-6)


def test_decode_affect_without_faces_is_empty() -> None:
    affect = decode_affect(*(np.zeros((0, n), np.float32) for n in (12, 7, 2)), tiny_spec())
    assert len(affect) == 0
    assert affect.au_active.shape == (0, 12)


def test_decoder_with_smoothing_keeps_distribution_and_range() -> None:
    decoder = AffectDecoder(
        tiny_spec(), StageTimer(), smooth=True, neutral_baseline=False, is_video=True
    )
    random = np.random.default_rng(3)
    ids = np.array([4, 7])
    deviation = 0.0
    for index in range(200):
        logits = AffectLogits(
            random.normal(0, 3, (2, 12)).astype(np.float32),
            random.normal(0, 2 + index % 5, (2, 7)).astype(np.float32),
            random.normal(0, 40, (2, 2)).astype(np.float32),
            is_va_raw=True,
        )
        affect = decoder.decode(logits, ids, index / 30)
        total = affect.expression_probability.sum(axis=1, dtype=np.float64)
        deviation = max(deviation, float(np.abs(total - 1).max()))
        assert np.abs([affect.valence, affect.arousal]).max() <= 1
    assert deviation < 1e-6
