"""The card tells where weights come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.load_run import read_origin
from export.model_card import Origin, model_card

pytestmark = pytest.mark.train


def test_weights_from_chance_and_from_an_earlier_bundle(tmp_path: Path) -> None:
    assert "trained from random initialization on the sources below" in model_card(
        {}, with_renders=True
    )
    card = model_card({}, True, origin=read_origin(tmp_path, {"started_from": "ab12"}))
    assert "beginning with those of an earlier version (SHA-256 of its network: ab12)" in card


def test_teachers_are_named_with_their_share(tmp_path: Path) -> None:
    teachers = [
        {"bundle": "default", "weights": "cd34"},
        {"paper": "M8", "preset": "compact", "weights": "ef56"},
    ]
    told = {
        "teachers": teachers,
        "teacher_weight": 0.3,
        "unlabeled_weight": 0.25,
        "synthetic": False,
    }
    (tmp_path / "distill.json").write_text(json.dumps(told))
    card = model_card({}, True, origin=read_origin(tmp_path, {}))
    assert "the bundle default of SHA-256 cd34, M8 (compact) of SHA-256 ef56" in card
    assert "targets on images of people are mixed" in card
    assert "their share is 0.3 where there is a label" in card
    assert "with a weight of 0.25" in card
    assert Origin().sentence() in model_card({}, True)


def test_it_states_the_rules_that_choose_thresholds() -> None:
    from export.calibrate import ALARMS, LEAST_THRESHOLD, SLACK

    card = " ".join(model_card({}, with_renders=True).split())
    assert f"lowest (but {LEAST_THRESHOLD:g}) within {SLACK:g} of its best" in card
    assert f"at most {ALARMS:g} units on a neutral real face" in card
