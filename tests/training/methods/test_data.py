"""Data of a method: training and validation rows, broken images, landmarks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.geometry import invert_transforms, transform_points
from tests.training.datasets.synthetic_affwild2 import (
    HEADER_AU,
    HEADER_EXPR,
    HEADER_VA,
    au_line,
    write,
)
from tests.training.datasets.synthetic_table import make_synthetic_table
from training.datasets.frame_table import SPLITS
from training.methods.data import open_method_data, validation_view

pytestmark = pytest.mark.train


def small_set(root: Path) -> Path:
    """Two training and one validation video of three frames; valence of one training video is held
    out.
    """
    for name, split, count in (
        ("one", "Train_Set", 3),
        ("two", "Train_Set", 3),
        ("three", "Validation_Set", 3),
    ):
        write(
            root / f"annotations/AU_Set/{split}/{name}.txt",
            "\n".join([HEADER_AU, *[au_line(k) for k in range(count)]]),
        )
        write(
            root / f"annotations/EXPR_Set/{split}/{name}.txt",
            "\n".join([HEADER_EXPR, *"012"[:count]]),
        )
        for k in range(count):
            image = np.full((112, 112, 3), 40 * k + 10, np.uint8)
            path = root / "cropped_aligned" / name / f"{k + 1:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    write(
        root / "annotations/VA_Set/Validation_Set/two.txt", f"{HEADER_VA}\n0.5,0.5\n0.1,0.2\n0,0\n"
    )
    return root


def test_open_method_data_excludes_held_out_videos_of_evaluated_tasks(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    data = open_method_data(folder, 48, False, tmp_path / "cache", progress=False)
    assert data.train.videos == ("one",)
    assert sorted(data.validation.videos) == ["three", "two"]
    two = data.validation.video == data.validation.videos.index("two")
    assert data.validation.va_mask[two].all()
    assert not data.validation.expression_mask[
        two
    ].any()  # labeled for training, not for validation
    without_va = open_method_data(
        folder, 48, False, tmp_path / "cache", tasks=("AU", "EXPR"), progress=False
    )
    assert sorted(without_va.train.videos) == ["one", "two"]
    assert without_va.validation.videos == ("three",)
    assert not without_va.train.va_mask.any()


def test_open_method_data_stores_images_at_network_size_up_to_crop_size(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    for size, stored in ((48, 48), (224, 112)):
        data = open_method_data(folder, size, False, tmp_path / "cache", progress=False)
        images = data.images.read(data.train, np.arange(3))
        assert images.shape == (3, stored, stored, 3)
        assert np.abs(images.mean(axis=(1, 2, 3)) - [10, 50, 90]).max() < 2


def test_open_method_data_skips_broken_image(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    (folder / "cropped_aligned/one/00002.jpg").write_bytes(b"\xff\xd8 no image")
    data = open_method_data(folder, 48, False, tmp_path / "cache", progress=False)
    assert data.train.frame.tolist() == [1, 3]
    assert any("cannot be read and count as missing" in note for note in data.train.report.notes)


def test_open_method_data_without_training_labels_raises(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    with pytest.raises(ValueError, match=r"has no training frame .* labeled for VA"):
        open_method_data(folder, 48, False, tmp_path / "cache", tasks=("VA",), progress=False)


def test_validation_view_keeps_rows_without_crop() -> None:
    table = make_synthetic_table(
        {"a": [1, 2], "b": [1, 2]}, expression=[0, 1, 2, 3], no_crop=(3,), split="validation"
    )
    table = replace(table, splits=np.array([[0] * 3, [SPLITS.index("validation")] * 3], np.int8))
    view = validation_view(table, ("EXPR",))
    assert view.videos == ("b",)
    assert view.has_crop.tolist() == [True, False]
    assert view.expression_mask.all()


@pytest.mark.shared
def test_read_landmarks_match_ground_truth(
    renderwild_tiny: Path, tmp_path: Path, trained: None
) -> None:
    data = open_method_data(renderwild_tiny, 96, False, tmp_path, landmarks=True, progress=False)
    table = data.train
    rows = np.arange(0, len(table), 3)
    landmarks = data.images.read_landmarks(table, rows)
    errors = []
    for row, points in zip(rows, landmarks, strict=True):
        name = table.videos[table.video[row]]
        assert (
            json.loads((renderwild_tiny / "truth" / f"{name}.json").read_text())["split"]
            == "Train_Set"
        )
        with np.load(renderwild_tiny / "truth" / f"{name}.npz") as truth:
            k = int(table.frame[row]) - 1
            to_crop = invert_transforms(truth["crop_to_frame"][k][None])
            expected = (
                transform_points(to_crop, truth["landmarks_xy"][k][None])[0] + 0.5
            ) * 96 / 112 - 0.5
        if np.isfinite(points).all():
            errors.append(np.linalg.norm(points - expected, axis=1).mean())
    assert len(errors) > 0.7 * len(rows)
    # In pixels of 96: mesh points differ from landmark labels; wrongly scaled crops exceed this.
    assert np.median(errors) < 4.5
