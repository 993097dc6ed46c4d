"""Intensities: knots that were used to make the data are found again, and errors in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from training.evaluation.intensity import KnownIntensities, fit_intensity, intensity_metrics

KNOTS = (0.05, 0.1, 0.3, 0.6, 0.9, 0.98)


def _faces(noise: float) -> KnownIntensities:
    random = np.random.default_rng(3)
    probability = random.uniform(0, 1, (600, 12)).astype(np.float32)
    intensity = np.interp(probability, KNOTS, range(6)) + random.normal(0, noise, (600, 12))
    return KnownIntensities(probability, intensity.astype(np.float32), np.ones((600, 12), np.bool_))


def test_fit_intensity_recovers_knots_of_the_data() -> None:
    faces = _faces(0.1)
    knots = fit_intensity([faces])
    assert np.diff(np.array(knots), axis=1).min() > 0
    np.testing.assert_allclose(knots, [KNOTS] * 12, atol=0.03)
    measured = intensity_metrics(faces, knots)
    assert measured["mae"] == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.15)
    assert measured["icc"] > 0.99


def test_intensity_metrics_are_over_known_faces_only() -> None:
    faces = _faces(0.0)
    faces.intensity[:300] = 5 - faces.intensity[:300]
    faces.is_known[:300] = False
    measured = intensity_metrics(faces, (KNOTS,) * 12)
    assert measured["mae"] == pytest.approx(0, abs=1e-4)
    faces.is_known[:] = True
    assert intensity_metrics(faces, (KNOTS,) * 12)["by_unit"][AU_NAMES[0]]["mae"] > 1
