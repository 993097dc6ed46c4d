from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.ablations.full_ground_truth import (
    FullGroundTruth,
    concat_ground_truth,
    read_full_ground_truth,
)


@pytest.fixture(scope="module")
def truth(renderwild_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> FullGroundTruth:
    return read_full_ground_truth(renderwild_tiny, tmp_path_factory.mktemp("cache"))


@pytest.mark.shared
def test_official_labels_are_a_subset_of_full_labels(truth: FullGroundTruth) -> None:
    official, table = truth.official, truth.table
    assert official.au_mask.any()
    assert not official.au_mask.all()
    assert (official.au == table.au)[official.au_mask].all()
    assert (official.expression == table.expression)[official.expression_mask].all()
    assert np.abs(official.va - table.va)[official.va_mask].max() < 0.001, "files have three digits"
    assert table.au_mask.all()
    assert table.va_mask.all()


@pytest.mark.shared
def test_groups_and_splits_match_truth_files(truth: FullGroundTruth, renderwild_tiny: Path) -> None:
    for k, video in enumerate(truth.table.videos):
        note = json.loads((renderwild_tiny / "truth" / f"{video}.json").read_text())
        rows = truth.table.video == k
        assert truth.table.groups[k] == f"person {note['identity']}"
        assert (truth.is_train[rows] == (note["split"] == "Train_Set")).all()
        assert (truth.is_mismatched[rows] == note["voice"]["mismatched"]).all()
        files = sorted(
            path.name for path in (renderwild_tiny / "cropped_aligned" / video).glob("*.jpg")
        )
        assert [f"{frame:05d}.jpg" for frame in truth.table.frame[rows]] == files


@pytest.mark.shared
def test_landmarks_match_aligned_eyes(truth: FullGroundTruth) -> None:
    """Crops are aligned by the eyes, so eye centers are at the template's up to the crop jitter."""
    from training.models.mean_shape import MEAN_SHAPE_PX

    eyes = truth.landmarks_xy[:, 36:48].mean(axis=1) * 112 - 0.5
    assert np.abs(np.median(eyes, axis=0) - MEAN_SHAPE_PX[36:48].mean(axis=0)).max() < 4
    image = cv2.imread(truth.table.path[0].as_py())
    assert image.shape[:2] == (112, 112)


@pytest.mark.shared
def test_select_and_concat_check_their_input(truth: FullGroundTruth, tmp_path: Path) -> None:
    half = truth.select(np.arange(len(truth)) % 2 == 0)
    assert len(half) == len(half.intensity) == len(half.official) == -(-len(truth) // 2)
    with pytest.raises(ValueError, match="different sizes"):
        concat_ground_truth([truth, truth])
    with pytest.raises(FileNotFoundError, match="expected a RenderWild"):
        read_full_ground_truth(tmp_path)
