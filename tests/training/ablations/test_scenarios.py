from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tests.training.ablations.synthetic_truth import FRAMES, VALIDATION, VIDEOS, synthetic_truth
from training.ablations.full_ground_truth import FullGroundTruth
from training.ablations.scenarios import SCENARIOS, ScenarioData, mask_labels
from training.datasets.frame_table import FrameTable


@pytest.fixture(scope="module")
def truth() -> FullGroundTruth:
    return synthetic_truth()


class SameData(NamedTuple):
    low_fps: FullGroundTruth
    full_fps: FullGroundTruth


def build(name: str, truth: FullGroundTruth, seed: int = 1) -> ScenarioData:
    return SCENARIOS[name].build(SameData(truth, truth), seed)


def paths(table: FrameTable) -> list[str]:
    return table.path.to_pylist()


def tables_equal(first: FrameTable, second: FrameTable) -> bool:
    names = ("au", "au_mask", "expression", "expression_mask", "va", "va_mask")
    return paths(first) == paths(second) and all(
        np.array_equal(getattr(first, n), getattr(second, n)) for n in names
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_separate_identities_and_keep_true_labels(
    name: str, truth: FullGroundTruth
) -> None:
    data = build(name, truth)
    assert len(data.train) > 0
    assert len(data.validation) > 0
    assert not set(data.train.groups) & set(data.validation.groups)
    assert len(data.landmarks_xy) == len(data.train) + len(data.validation)
    row_of_path = {path: k for k, path in enumerate(paths(truth.table))}
    for table in (data.train, data.validation):
        if name == "label_noise" and table is data.train:
            continue
        rows = np.array([row_of_path[path] for path in paths(table)])
        assert (table.au == truth.table.au[rows])[table.au_mask].all()
        assert (table.expression == truth.table.expression[rows])[table.expression_mask].all()
        assert (table.va == truth.table.va[rows])[table.va_mask].all()
        assert not table.au[~table.au_mask].any()


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_seed_changes_only_training(name: str, truth: FullGroundTruth) -> None:
    first, again, other = build(name, truth), build(name, truth), build(name, truth, seed=2)
    assert tables_equal(first.train, again.train)
    assert tables_equal(first.validation, other.validation)
    is_random = name in (
        "few_identities",
        "partial_labels",
        "ten_percent_labels",
        "label_noise",
        "multi_database",
    )
    assert tables_equal(first.train, other.train) != is_random
    if first.parameters is not None:
        assert np.array_equal(first.parameters, other.parameters), (
            "images are the same for every seed"
        )


def test_few_identities_labels_half_and_keeps_all(truth: FullGroundTruth) -> None:
    data = build("few_identities", truth)
    people = (VIDEOS - VALIDATION) // 2
    labeled = {data.train.groups[v] for v in data.train.video[data.train.masks.any(axis=1)]}
    assert len(labeled) == people // 2  # 30, or half of the identities if there are fewer than 60
    assert len(set(data.train.groups)) == people


def test_noisy_images_excludes_mismatched_audio(truth: FullGroundTruth) -> None:
    data = build("noisy_images", truth)
    assert not {f"video{k}" for k in range(0, VIDEOS, 5)} & {
        *data.train.videos,
        *data.validation.videos,
    }
    assert data.corruption == "noise"


def test_partial_labels_labels_a_tenth_for_both_tasks(truth: FullGroundTruth) -> None:
    train = build("partial_labels", truth).train
    both = train.labeled("AU") & train.labeled("EXPR")
    assert (train.labeled("AU") | train.labeled("EXPR")).all()
    assert not train.va_mask.any()
    assert abs(both.mean() - 0.1) < 4 * np.sqrt(0.09 / len(train))
    assert abs(train.labeled("AU").mean() - train.labeled("EXPR").mean()) < 0.1


def test_occluded_expressions_occludes_expected_aus(truth: FullGroundTruth) -> None:
    data = build("occluded_expressions", truth)
    clear = (truth.strength.max(axis=1) >= 0.5).sum()
    assert len(data.train) + len(data.validation) == clear
    assert data.parameters is not None
    assert data.occluded_aus is not None
    parts = data.parameters[len(data.train) :]
    assert abs((data.parameters > 0).mean() - 0.6) < 0.08
    for row, part in enumerate(parts):
        expected = {0: set(), 1: {0, 1, 2}, 2: {3, 4}, 3: set(range(5, 12))}[int(part)]
        assert set(np.flatnonzero(data.occluded_aus[row])) == expected


def test_ten_percent_labels_labels_a_tenth_of_videos_per_task(truth: FullGroundTruth) -> None:
    train = build("ten_percent_labels", truth).train
    for labeled in train.masks.T:
        assert len(set(train.video[labeled])) == round(0.1 * (VIDEOS - VALIDATION))
    assert len(train) == (VIDEOS - VALIDATION) * FRAMES


def test_label_noise_swaps_labels_of_a_fifth_of_frames(truth: FullGroundTruth) -> None:
    train = build("label_noise", truth).train
    clean = truth.select(truth.is_train).table
    wrong = (train.va != clean.va).any(axis=1)
    assert abs(wrong.mean() - 0.2) < 0.04
    known = {tuple(row) for row in clean.va.tolist()}
    assert all(tuple(row) in known for row in train.va[wrong].tolist()), "labels of another frame"


def test_mixed_resolutions_spans_its_range_with_official_labels(
    truth: FullGroundTruth,
) -> None:
    data = build("mixed_resolutions", truth)
    assert data.parameters is not None
    sides = data.parameters * 112
    assert sides.min() >= 12
    assert sides.max() <= 96
    assert abs(np.median(sides) - np.sqrt(12 * 96)) < 4, "log-uniform"
    assert (data.train.au_mask == truth.official.select(truth.is_train).au_mask).all()
    assert data.validation.au_mask.all()


def test_atypical_neutral_faces_selects_shifted_brows(truth: FullGroundTruth) -> None:
    points = truth.landmarks_xy.copy()
    shifts = {VIDEOS - 1: -0.05, VIDEOS - 4: 0.05}  # higher and lower brows
    for video, shift in shifts.items():
        points[truth.table.video == video, 17:27, 1] += shift
    data = build("atypical_neutral_faces", replace(truth, landmarks_xy=points))
    assert len(data.validation.videos) == VALIDATION // 3
    assert {f"video{video}" for video in shifts} <= set(data.validation.videos)


def test_occluded_segments_are_contiguous(truth: FullGroundTruth) -> None:
    data = build("occluded_segments", truth)
    assert data.parameters is not None
    for video in range(len(data.train.videos)):
        parts = data.parameters[: len(data.train)][data.train.video == video]
        assert (parts > 0).sum() == round(0.4 * FRAMES)
        assert len(set(parts[parts > 0])) == 1
        assert np.abs(np.diff((parts > 0).astype(int))).sum() <= 2


def test_multi_database_labels_complete_videos(truth: FullGroundTruth) -> None:
    train = build("multi_database", truth).train
    kinds = []
    for video in range(len(train.videos)):
        rows = train.video == video
        kinds.append((bool(train.expression_mask[rows].any()), bool(train.va_mask[rows].all())))
    count = len(kinds)
    assert not train.au_mask.any()
    assert kinds.count((True, True)) == pytest.approx(0.1 * count, abs=1)
    assert kinds.count((True, False)) == pytest.approx(0.45 * count, abs=2)
    assert kinds.count((False, True)) == pytest.approx(0.45 * count, abs=2)


def test_mask_labels_removes_only_masked_task(truth: FullGroundTruth) -> None:
    every_row = np.ones(len(truth), bool)
    table = mask_labels(truth, ~every_row, every_row, every_row).table
    assert not table.au_mask.any()
    assert not table.au.any()
    assert (table.expression_mask == truth.table.expression_mask).all()
