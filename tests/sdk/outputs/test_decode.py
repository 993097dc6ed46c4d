"""Raw heads to probabilities, against closed forms; the decision always follows from the score."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from faceaffect.outputs.affect_decoder import AffectDecoder, AffectLogits
from faceaffect.outputs.decode import decode_affect, decode_scores
from faceaffect.system.stage_timer import StageTimer
from faceaffect.types import Affect
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


KNOTS = (0.0, 0.1, 0.3, 0.6, 0.9, 1.0)


def test_decode_affect_intensity_is_linear_between_knots_and_presence_a_threshold_on_it() -> None:
    spec = replace(tiny_spec(), au_intensity=(KNOTS,) * 12, au_thresholds=(0.45,) * 12)
    probability = np.linspace(0.001, 0.999, 48, dtype=np.float64)
    au = np.log(probability / (1 - probability)).astype(np.float32).reshape(4, 12)
    affect = decode_affect(au, *(np.zeros((4, n), np.float32) for n in (7, 2)), spec)
    expected = np.interp(probability, KNOTS, range(6))
    np.testing.assert_allclose(affect.au_intensity.ravel(), expected, atol=1e-4)
    np.testing.assert_array_equal(affect.au_active.ravel(), expected >= 2.5)


def test_decode_affect_without_knots_has_no_intensity() -> None:
    affect = decode_affect(*(np.zeros((2, n), np.float32) for n in (12, 7, 2)), tiny_spec())
    assert affect.au_intensity.shape == (2, 12)
    assert np.isnan(affect.au_intensity).all()


def _decode(
    decoder: AffectDecoder, level: float, quality: float, time_s: float
) -> tuple[Affect, Affect]:
    """Affect of faces 4 and 7: all logits `level`, face 4 with logit `quality`."""
    logits = AffectLogits(*(np.full((2, n), level, np.float32) for n in (12, 7, 2)), is_va_raw=True)
    affect = decoder.decode(logits, np.array([4, 7]), time_s, np.float32([quality, 9]))
    rows = [
        Affect(**{f.name: getattr(affect, f.name)[k : k + 1] for f in fields(Affect)})
        for k in (0, 1)
    ]
    return rows[0], rows[1]


def test_decoder_below_least_quality_knows_nothing_and_remembers_nothing_of_it() -> None:
    spec = replace(tiny_spec(), au_intensity=(KNOTS,) * 12)
    decoder = AffectDecoder(
        spec, StageTimer(), smooth=True, neutral_baseline=False, is_video=True, min_quality=0.5
    )
    _decode(decoder, -0.1, 1.0, 0.0)
    hidden, other = _decode(decoder, 0.1, -0.01, 1 / 30)
    for name in ("au_probability", "expression_probability", "valence", "arousal", "au_intensity"):
        assert np.isnan(getattr(hidden, name)).all(), name
        assert np.isfinite(getattr(other, name)).all(), name
    assert not hidden.au_active.any()
    assert hidden.top_expression() == [""]
    seen, other = _decode(decoder, -0.1, 0.01, 2 / 30)
    # The face that was hidden in between is where it was, the other one still on its way back.
    np.testing.assert_allclose(seen.au_probability, 1 / (1 + np.exp(0.1)), rtol=1e-5)
    assert (other.au_probability > seen.au_probability + 1e-4).all()


def test_decoder_with_smoothing_keeps_intensity_in_range_and_in_step_with_decisions() -> None:
    spec = replace(tiny_spec(), au_intensity=(KNOTS,) * 12, au_thresholds=(0.45,) * 12)
    decoder = AffectDecoder(spec, StageTimer(), smooth=True, neutral_baseline=False, is_video=True)
    random = np.random.default_rng(5)
    for index in range(200):
        logits = AffectLogits(
            *(random.normal(0, 3, (2, n)).astype(np.float32) for n in (12, 7, 2)), is_va_raw=True
        )
        affect = decoder.decode(logits, np.array([4, 7]), index / 30)
        assert affect.au_intensity.min() >= 0
        assert affect.au_intensity.max() <= 5
        # Thresholds with hysteresis are 0.4 and 0.5 on probability: 2.33 and 2.67 on intensity.
        assert affect.au_active[affect.au_intensity > 2.67].all()
        assert not affect.au_active[affect.au_intensity < 2.33].any()
