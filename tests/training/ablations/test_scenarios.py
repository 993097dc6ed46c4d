"""Every setting does what it says, counted independently of how it was made."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tests.training.ablations.synthetic_truth import FRAMES, VALIDATION, VIDEOS, made_up_truth
from training.ablations.full_ground_truth import FullGroundTruth
from training.ablations.scenarios import SETTINGS, SettingData, masked
from training.datasets.frame_table import FrameTable


@pytest.fixture(scope="module")
def truth() -> FullGroundTruth:
    return made_up_truth()


class Same(NamedTuple):
    people: FullGroundTruth
    video: FullGroundTruth


def make(name: str, truth: FullGroundTruth, seed: int = 1) -> SettingData:
    return SETTINGS[name].make(Same(truth, truth), seed)


def paths(table: FrameTable) -> list[str]:
    return table.path.to_pylist()


def same(first: FrameTable, second: FrameTable) -> bool:
    names = ("au", "au_mask", "expression", "expression_mask", "va", "va_mask")
    return paths(first) == paths(second) and all(
        np.array_equal(getattr(first, n), getattr(second, n)) for n in names
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_keeps_people_apart_and_never_invents_a_label(
    name: str, truth: FullGroundTruth
) -> None:
    made = make(name, truth)
    assert len(made.train) > 0
    assert len(made.validation) > 0
    assert not set(made.train.groups) & set(made.validation.groups)
    assert len(made.landmarks_xy) == len(made.train) + len(made.validation)
    true = {path: k for k, path in enumerate(paths(truth.table))}
    for table in (made.train, made.validation):
        if name == "wrong_labels" and table is made.train:
            continue
        rows = np.array([true[path] for path in paths(table)])
        assert (table.au == truth.table.au[rows])[table.au_mask].all()
        assert (table.expression == truth.table.expression[rows])[table.expression_mask].all()
        assert (table.va == truth.table.va[rows])[table.va_mask].all()
        assert not table.au[~table.au_mask].any()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_seed_changes_training_alone_and_is_repeatable(name: str, truth: FullGroundTruth) -> None:
    first, again, other = make(name, truth), make(name, truth), make(name, truth, seed=2)
    assert same(first.train, again.train)
    assert same(first.validation, other.validation)
    drawn = name in (
        "few_identities",
        "one_label_each",
        "tenth_of_labels",
        "wrong_labels",
        "three_sources",
    )
    assert same(first.train, other.train) != drawn
    if first.amounts is not None:
        assert np.array_equal(first.amounts, other.amounts), "images are the same for every seed"


def test_few_people_are_labeled_and_all_are_there(truth: FullGroundTruth) -> None:
    made = make("few_identities", truth)
    people = (VIDEOS - VALIDATION) // 2
    named = {made.train.groups[v] for v in made.train.video[made.train.masks.any(axis=1)]}
    assert (
        len(named) == people // 2
    )  # thirty at most, half of them where there are fewer than sixty
    assert len(set(made.train.groups)) == people


def test_noisy_images_leave_mismatched_voices_out(truth: FullGroundTruth) -> None:
    made = make("noisy_images", truth)
    assert not {f"video{k}" for k in range(0, VIDEOS, 5)} & {
        *made.train.videos,
        *made.validation.videos,
    }
    assert made.change == "noisy"


def test_one_label_each_has_a_tenth_of_double_labels(truth: FullGroundTruth) -> None:
    train = make("one_label_each", truth).train
    both = train.labeled("AU") & train.labeled("EXPR")
    assert (train.labeled("AU") | train.labeled("EXPR")).all()
    assert not train.va_mask.any()
    assert abs(both.mean() - 0.1) < 4 * np.sqrt(0.09 / len(train))
    assert abs(train.labeled("AU").mean() - train.labeled("EXPR").mean()) < 0.1


def test_clear_frames_are_covered_as_told(truth: FullGroundTruth) -> None:
    made = make("together_and_hidden", truth)
    clear = (truth.strength.max(axis=1) >= 0.5).sum()
    assert len(made.train) + len(made.validation) == clear
    assert made.amounts is not None
    assert made.hidden is not None
    covers = made.amounts[len(made.train) :]
    assert abs((made.amounts > 0).mean() - 0.6) < 0.08
    for row, cover in enumerate(covers):
        wanted = {0: set(), 1: {0, 1, 2}, 2: {3, 4}, 3: set(range(5, 12))}[int(cover)]
        assert set(np.flatnonzero(made.hidden[row])) == wanted


def test_a_tenth_of_videos_is_labeled_for_each_task(truth: FullGroundTruth) -> None:
    train = make("tenth_of_labels", truth).train
    for labeled in train.masks.T:
        assert len(set(train.video[labeled])) == round(0.1 * (VIDEOS - VALIDATION))
    assert len(train) == (VIDEOS - VALIDATION) * FRAMES


def test_a_fifth_of_frames_has_the_labels_of_another(truth: FullGroundTruth) -> None:
    train, whole = make("wrong_labels", truth).train, truth.select(truth.is_train).table
    wrong = (train.va != whole.va).any(axis=1)
    assert abs(wrong.mean() - 0.2) < 0.04
    known = {tuple(row) for row in whole.va.tolist()}
    assert all(tuple(row) in known for row in train.va[wrong].tolist()), (
        "labels of another frame, not noise"
    )


def test_resolutions_lie_between_their_limits_and_labels_are_the_annotated(
    truth: FullGroundTruth,
) -> None:
    made = make("mixed_resolutions", truth)
    assert made.amounts is not None
    sides = made.amounts * 112
    assert sides.min() >= 12
    assert sides.max() <= 96
    assert abs(np.median(sides) - np.sqrt(12 * 96)) < 4, (
        "as many below the geometric middle as above"
    )
    assert (made.train.au_mask == truth.official.select(truth.is_train).au_mask).all()
    assert made.validation.au_mask.all()


def test_odd_resting_faces_are_found_by_landmarks_of_calm_frames(truth: FullGroundTruth) -> None:
    points = truth.landmarks_xy.copy()
    odd = {VIDEOS - 1: -0.05, VIDEOS - 4: 0.05}  # brows that lie higher and lower
    for video, shift in odd.items():
        points[truth.table.video == video, 17:27, 1] += shift
    made = make("resting_faces", replace(truth, landmarks_xy=points))
    assert len(made.validation.videos) == VALIDATION // 3
    assert {f"video{video}" for video in odd} <= set(made.validation.videos)


def test_stretches_are_in_one_piece(truth: FullGroundTruth) -> None:
    made = make("hidden_stretches", truth)
    assert made.amounts is not None
    for video in range(len(made.train.videos)):
        covers = made.amounts[: len(made.train)][made.train.video == video]
        assert (covers > 0).sum() == round(0.4 * FRAMES)
        assert len(set(covers[covers > 0])) == 1
        assert np.abs(np.diff((covers > 0).astype(int))).sum() <= 2


def test_three_sources_are_whole_videos(truth: FullGroundTruth) -> None:
    train = make("three_sources", truth).train
    kinds = []
    for video in range(len(train.videos)):
        rows = train.video == video
        kinds.append((bool(train.expression_mask[rows].any()), bool(train.va_mask[rows].all())))
    count = len(kinds)
    assert not train.au_mask.any()
    assert kinds.count((True, True)) == pytest.approx(0.1 * count, abs=1)
    assert kinds.count((True, False)) == pytest.approx(0.45 * count, abs=2)
    assert kinds.count((False, True)) == pytest.approx(0.45 * count, abs=2)


def test_masked_takes_away_only(truth: FullGroundTruth) -> None:
    none = np.zeros(len(truth), bool)
    table = masked(truth, au=none).table
    assert not table.au_mask.any()
    assert not table.au.any()
    assert (table.expression_mask == truth.table.expression_mask).all()
