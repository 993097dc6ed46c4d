"""Model card: origin of the weights, teachers and the rule for thresholds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.calibrate import F1_SLACK, MAX_FALSE_ALARMS, MIN_THRESHOLD
from export.load_run import load_origin
from export.model_card import Origin, model_card
from training.distillation.teachers import RECORD_FILE

pytestmark = pytest.mark.train


def test_model_card_states_initialization(tmp_path: Path) -> None:
    assert "trained from random initialization on the sources below" in model_card(
        {}, with_synthetic_images=True
    )
    card = model_card({}, True, origin=load_origin(tmp_path, {"started_from": "ab12"}))
    assert "initialized from an earlier version (SHA-256 of its network: ab12)" in card


def test_model_card_names_teachers_with_weights(tmp_path: Path) -> None:
    teachers = [
        {"bundle": "default", "weights": "cd34"},
        {"paper": "M8", "preset": "compact", "weights": "ef56"},
    ]
    weights = {"teacher_weight": 0.3, "unlabeled_weight": 0.25}
    record = {"teachers": teachers, "synthetic": False} | weights
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    card = model_card({}, True, origin=load_origin(tmp_path, {}))
    assert "the bundle default with SHA-256 cd34, M8 (compact) with SHA-256 ef56" in card
    assert "distillation on real images" in card
    assert "teacher weight 0.3 beside a label" in card
    assert "loss weight 0.25 without one" in card
    assert Origin().sentence() in model_card({}, True)


def test_model_card_states_threshold_rule() -> None:
    card = " ".join(model_card({}, with_synthetic_images=True).split())
    assert f"lowest of at least {MIN_THRESHOLD:g} within {F1_SLACK:g} of its best F1" in card
    assert f"at most {MAX_FALSE_ALARMS:g} active AUs on a neutral real face" in card
