"""Tests of the AU visibility measurement."""

import pytest

from training.synthesis.au_targets import RIG_NAMES


@pytest.mark.shared
def test_measure_visibility_detects_every_unit_on_both_rigs(renderer):
    from training.synthesis.au_visibility import measure_visibility

    for rig in RIG_NAMES:
        for row in measure_visibility(renderer, rig, 3, 1):
            assert row.peak_at_threshold > 3.0, row
            assert row.peak_at_full > row.peak_at_threshold, row
