"""Per-person baseline against a plain percentile."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.outputs.neutral_baseline import (
    MAX_CORRECTION,
    MAX_SAMPLES,
    PERCENTILE,
    SAMPLE_STEP_S,
    WARM_UP_S,
    NeutralBaseline,
)

NEUTRAL = np.full(12, -2.0, np.float32)


def test_baseline_after_warm_up_subtracts_excess_of_percentile() -> None:
    random = np.random.default_rng(3)
    stream = random.normal(0.5, 1.0, (1000, 12)).astype(np.float32)
    baseline = NeutralBaseline(NEUTRAL)
    for k, logit in enumerate(stream):
        corrected = baseline.update(logit, k * SAMPLE_STEP_S)
        samples = stream[max(0, k + 1 - MAX_SAMPLES) : k + 1]
        weight = min(1.0, k * SAMPLE_STEP_S / WARM_UP_S)
        excess = np.clip(np.percentile(samples, PERCENTILE, axis=0) + 2.0, 0, MAX_CORRECTION)
        np.testing.assert_allclose(corrected, logit - weight * excess, atol=1e-5)


def test_baseline_with_low_neutral_logits_changes_nothing() -> None:
    baseline = NeutralBaseline(NEUTRAL)
    low = np.full(12, -5.0, np.float32)
    for k in range(100):
        np.testing.assert_array_equal(baseline.update(low, 0.1 * k), low)


def test_baseline_at_high_frame_rate_samples_at_intervals() -> None:
    baseline = NeutralBaseline(NEUTRAL)
    neutral = np.zeros(12, np.float32)
    smile = np.full(12, 3.0, np.float32)
    for k in range(300):  # ten seconds of a neutral face, at 30 frames a second
        baseline.update(neutral, k / 30)
    for k in range(300, 450):  # five seconds of a smile
        corrected = baseline.update(smile, k / 30)
    assert corrected == pytest.approx(np.full(12, 1.0), abs=1e-4)  # 3 minus the excess of 2
