"""Tests of morph targets of action units."""

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from training.synthesis.au_targets import AU_TARGETS, RIG_NAMES, gaze_weights, intensity_to_weight
from training.synthesis.expression_sampler import (
    EXTRA_AU_NAMES,
    PRESENT_INTENSITY,
    TRACE_INTENSITY,
)


def test_intensity_to_weight_is_monotonic_and_amplifies_present_units():
    values = [intensity_to_weight(x) for x in np.linspace(0, 1, 101)]
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert np.all(np.diff(values) > 0)
    assert intensity_to_weight(TRACE_INTENSITY) < TRACE_INTENSITY
    assert intensity_to_weight(PRESENT_INTENSITY) > PRESENT_INTENSITY


@pytest.mark.parametrize("rig", RIG_NAMES)
def test_au_targets_cover_all_units(rig):
    assert set(AU_TARGETS[rig]) == {*AU_NAMES, *EXTRA_AU_NAMES}


def test_gaze_weights_turn_both_eyes_in_same_direction():
    assert set(gaze_weights(15, 0)) == {"arkit/eyeLookOutLeft", "arkit/eyeLookInRight"}
