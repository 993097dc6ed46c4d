"""Whole truths of a rendered folder agree with its annotation files, and lie on the faces."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.ablations.full_ground_truth import FullGroundTruth, join_truths, read_whole_truth


@pytest.fixture(scope="module")
def truth(renderwild_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> FullGroundTruth:
    return read_whole_truth(renderwild_tiny, tmp_path_factory.mktemp("cache"))


@pytest.mark.shared
def test_annotations_are_part_of_the_truth(truth: FullGroundTruth) -> None:
    official, table = truth.official, truth.table
    assert official.au_mask.any()
    assert not official.au_mask.all()
    assert (official.au == table.au)[official.au_mask].all()
    assert (official.expression == table.expression)[official.expression_mask].all()
    assert np.abs(official.va - table.va)[official.va_mask].max() < 0.001, "files have three digits"
    assert table.au_mask.all()
    assert table.va_mask.all()


@pytest.mark.shared
def test_people_and_sides_are_those_of_the_notes(
    truth: FullGroundTruth, renderwild_tiny: Path
) -> None:
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
def test_landmarks_lie_on_the_eyes(truth: FullGroundTruth) -> None:
    """Crops are aligned by the eyes: their middles lie where the template has them, up to the
    crops' jitter.
    """
    from training.models.mean_shape import MEAN_SHAPE_PX

    eyes = truth.landmarks_xy[:, 36:48].mean(axis=1) * 112 - 0.5
    assert np.abs(np.median(eyes, axis=0) - MEAN_SHAPE_PX[36:48].mean(axis=0)).max() < 4
    image = cv2.imread(truth.table.path[0].as_py())
    assert image.shape[:2] == (112, 112)


@pytest.mark.shared
def test_parts_are_picked_and_joined(truth: FullGroundTruth, tmp_path: Path) -> None:
    half = truth.select(np.arange(len(truth)) % 2 == 0)
    assert len(half) == len(half.intensity) == len(half.official) == -(-len(truth) // 2)
    with pytest.raises(ValueError, match="different sizes"):
        join_truths([truth, truth])
    with pytest.raises(FileNotFoundError, match="must be a RenderWild"):
        read_whole_truth(tmp_path)
