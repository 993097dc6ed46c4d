"""Measurements of action units on real people, on answers that are known."""

from __future__ import annotations

import base64
import copy
import re
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from tests.sdk.tiny_bundle import face_shape
from training.evaluation.truth.eye_metrics import eye_agreement
from training.evaluation.truth.face_sets import at_rest
from training.evaluation.truth.gallery import figures, strongest
from training.evaluation.truth.known_actions import known_actions, within_person_auroc
from training.evaluation.truth.real_face_metrics import firing_rates, shadow_r2
from training.evaluation.truth.robustness import CHANGES
from training.evaluation.truth.truth_page import format_page
from training.real_skin.unit_motions import UNITS
from training.real_skin.write_actions import test_plan as plan_of_tests


def test_shadow_is_one_for_sums_of_expressions_and_none_for_noise() -> None:
    rng = np.random.default_rng(0)
    expression = rng.normal(size=(2000, 7))
    au = rng.normal(size=(2000, 12))
    au[:, 0] = expression @ rng.normal(size=7)
    au[:, 1] = au[:, 0] / au[:, 0].std() + rng.normal(size=2000)
    r2 = shadow_r2(au, expression)
    assert r2["AU1"] > 0.99
    assert r2["AU2"] == pytest.approx(0.5, abs=0.06)
    assert max(r2[name] for name in AU_NAMES[2:]) < 0.02


def columns(people: int) -> dict[str, Any]:
    rows = plan_of_tests()
    return {
        "unit": np.array([row.unit for row in rows] * people),
        "level": np.array([row.level for row in rows] * people),
        "person": np.repeat([f"p{i}" for i in range(people)], len(rows)),
    }


def perfect(table: dict[str, Any], person_offset: float = 0.0) -> np.ndarray:
    logit = np.full((len(table["unit"]), 12), -4.0)
    people = np.unique(table["person"], return_inverse=True)[1]
    for row, (unit, level) in enumerate(zip(table["unit"], table["level"], strict=True)):
        if unit >= 0 and UNITS[unit] in AU_NAMES:
            logit[row, AU_NAMES.index(UNITS[unit])] += 8 * level
    return logit + person_offset * people[:, None]


def test_known_actions_are_found_within_people_whatever_their_offsets() -> None:
    table = columns(3)
    measured = known_actions(perfect(table, 10.0), table, np.full(12, 0.5))
    assert measured["least_auroc"] == 1
    assert measured["people"] == 3
    assert measured["AU6 raised by AU12"] == pytest.approx(0)


def test_a_unit_that_rises_with_another_is_noticed() -> None:
    table = columns(2)
    logit = perfect(table)
    smile = (table["unit"] == UNITS.index("AU12")) & (table["level"] > 0.8)
    logit[smile, AU_NAMES.index("AU6")] = 5.0
    measured = known_actions(logit, table, np.full(12, 0.5))
    assert measured["AU6 raised by AU12"] > 0.9
    negatives = 1 + len(UNITS) - 1
    assert measured["by_unit"]["AU6"]["auroc 0.9"] == pytest.approx(1 - 1 / negatives)
    assert measured["by_unit"]["AU12"]["auroc 0.9"] == 1


def test_images_that_show_parted_lips_anyway_are_no_negatives_of_au25() -> None:
    table = columns(1)
    logit = perfect(table)
    jaw = table["unit"] == UNITS.index("AU26")
    logit[jaw, AU_NAMES.index("AU25")] = 9.0
    assert known_actions(logit, table, np.full(12, 0.5))["by_unit"]["AU25"]["auroc 0.9"] == 1


def test_within_person_auroc_counts_ties_half() -> None:
    score = np.array([1.0, 1.0, 0.0, 5.0, 7.0])
    positive = np.array([True, False, False, True, False])
    person = np.array(["a", "a", "a", "b", "b"])
    value = within_person_auroc(score, positive, ~positive, person)
    assert value == pytest.approx((0.75 + 0.0) / 2)
    with pytest.raises(ValueError, match="expected people"):
        within_person_auroc(score, positive, np.zeros(5, bool), person)


def test_firing_rates_add_up() -> None:
    active = np.zeros((4, 12), bool)
    active[0, 2] = active[1, 2] = active[1, 5] = True
    rates = firing_rates(active)
    assert rates["per_face"] == pytest.approx(0.75)
    assert rates["by_au"]["AU4"] == 0.5


def test_resting_faces_are_below_every_limit() -> None:
    names = ("jawOpen", "mouthSmileLeft", "mouthSmileRight")
    shapes = np.array([[0.0, 0.0, 0.0], [0.5, 0, 0], [0, 0, 0.5]], np.float32)
    limits = {"jawOpen": 0.1, "mouthSmile": 0.2}
    assert at_rest(shapes, names, limits).tolist() == [True, False, False]


def record() -> dict[str, Any]:
    units = {
        au: {
            "auroc 0.9": 0.5 + 0.01 * i,
            "auroc 0.5": 0.4,
            "on at rest": 0.0,
            "on 0.5": 0.1,
            "on 0.9": 0.2,
        }
        for i, au in enumerate(AU_NAMES)
    }
    return {
        "known_actions": {"by_unit": units, "AU6 raised by AU12": 0.47},
        "real_faces": {
            "shadow_r2": dict.fromkeys(AU_NAMES, 0.3),
            "neutral": {
                "here": {"faces": 9, "per_face": 0.2},
                "there": {"faces": 5, "per_face": 0.9},
            },
            "contrast_with_neutral": {"AU4 anger": 0.67},
            "expression": {
                name: {"faces": 9, "accuracy": 0.8, "macro_f1": 0.7}
                for name in ("rows left out by every version", "validation split")
            },
        },
        "speech": {"mean": {"AU25": 0.4, "lip gap of the landmarks": 0.5}},
    }


def test_eye_agreement_is_that_of_lids_that_follow_the_blink() -> None:
    random = np.random.default_rng(1)
    blink = random.random((80, 2))
    landmarks = random.random((80, 68, 2)) * 50
    for eye, start in enumerate((36, 42)):
        gap = 6 * (1 - blink[:, eye])
        x = np.array([0, 6, 14, 20, 14, 6])
        landmarks[:, start : start + 6, 0] = x
        landmarks[:, start : start + 6, 1] = 0
        landmarks[:, start + 4 : start + 6, 1] = gap[:, None]
    agreement = eye_agreement(landmarks, blink)
    assert agreement["correlation"] == pytest.approx(-1)
    assert agreement["auroc"] == 1
    closed = blink.mean(axis=1) > 0.5
    assert agreement["closed"] == closed.sum()
    found = 0.3 * (1 - blink.mean(axis=1)) <= 0.119  # openness of 6 px of 20 px where open
    assert agreement["recall"] == pytest.approx(found[closed].mean())
    assert agreement["false alarms"] == pytest.approx(found[~closed].mean())


def test_page_has_a_column_for_each_record() -> None:
    after = copy.deepcopy(record())
    after["known_actions"]["by_unit"]["AU1"]["auroc 0.9"] = 0.99
    page = format_page({"before": record(), "after": after})
    assert "| 0.50 (AU1) | 0.51 (AU2) |" in page
    assert "0.90 (there)" in page
    assert "| here (9 faces) | 0.20 | 0.20 |" in page
    assert "RenderWild validation" in page
    assert "not measured" in page


def test_page_shows_intensity_and_robustness_where_measured() -> None:
    after = copy.deepcopy(record())
    by_unit = {name: {"mae": 0.25, "icc": 0.75} for name in AU_NAMES}
    videos = {"faces": 7, "mae": 0.5, "icc": 0.85, "by_unit": by_unit}
    after["intensity"] = {"videos": videos}
    row = {
        "au decisions": 0.17,
        "expressions": 0.35,
        "quality before": 0.48,
        "quality after": 0.25,
        "quality auroc": 0.97,
        "below 0.3 before": 0.04,
        "below 0.3 after": 0.81,
    }
    after["robustness"] = {"faces": 9, "changes": {"mask": row}}
    page = format_page({"before": record(), "after": after})
    assert "| not measured | videos 0.50 / 0.85 |" in page
    assert "| AU26 | 0.25 / 0.75 |" in page
    assert "Degraded and covered faces, after" in page
    assert "faces, before" not in page
    assert "| mask | 17 % | 35 % | 0.25 | 0.97 | 81 % |" in page


@pytest.mark.parametrize(
    ("name", "covered", "free"),
    [
        ("mouth and nose covered", (51, 57, 33), (37, 44, 19)),
        ("sunglasses", (37, 44), (57, 33, 8)),
        ("half covered", (45, 54), (36, 48)),
    ],
)
def test_covers_hide_what_they_name(
    name: str, covered: tuple[int, ...], free: tuple[int, ...]
) -> None:
    image = np.random.default_rng(2).integers(60, 200, (192, 192, 3)).astype(np.uint8)
    points = face_shape() + 40
    changed = CHANGES[name](image, points) != image
    x, y = np.rint(points).astype(int).T
    assert changed[y[list(covered)], x[list(covered)]].any(axis=1).all()
    assert not changed[y[list(free)], x[list(free)]].any()


@pytest.mark.parametrize("name", CHANGES)
def test_changes_keep_shape_and_type(name: str) -> None:
    image = np.random.default_rng(2).integers(60, 200, (192, 192, 3)).astype(np.uint8)
    changed = CHANGES[name](image, face_shape() + 40)
    assert (changed.shape, changed.dtype) == (image.shape, image.dtype)
    assert (changed != image).any()


def test_gallery_orders_faces_and_embeds_their_pixels() -> None:
    assert strongest(np.float32([0.2, 0.9, 0.1, 0.9]), 3).tolist() == [1, 3, 0]
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, :, 0] = 250
    html = figures([red, np.full((16, 16), 99, np.uint8)], np.float32([0.9, 0.25]))
    first, second = re.findall(r"base64,([^']+)", html)
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(first), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.mean(axis=(0, 1)) == pytest.approx([0, 0, 250], abs=6)  # BGR
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(second), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.mean() == pytest.approx(99, abs=2)
    assert html.index("0.90") < html.index("0.25")
