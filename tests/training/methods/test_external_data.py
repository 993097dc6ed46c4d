"""Several data sets at once: rows, images and splits of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.methods.synthetic_faces import synthetic_data
from training.datasets.frame_table import concat_tables
from training.datasets.image_store import concat_stores
from training.methods.external_data import DataSource, open_training_rows

pytestmark = pytest.mark.train


def write_expw(folder: Path) -> None:
    """One image with two faces: bright on the left, angry; dark on the right, neutral."""
    (folder / "label").mkdir(parents=True)
    (folder / "image" / "origin").mkdir(parents=True)
    image = np.full((60, 120, 3), 240, np.uint8)
    image[:, 60:] = 15
    cv2.imwrite(str(folder / "image" / "origin" / "crowd.jpg"), image)
    (folder / "label" / "label.lst").write_text(
        "crowd.jpg 0 15 15 45 45 50 0\ncrowd.jpg 1 15 75 105 45 50 6\n"
    )


def test_open_training_rows_tells_faces_of_one_image_apart(tmp_path: Path) -> None:
    write_expw(tmp_path / "expw")
    table, images = open_training_rows(
        DataSource("expw", tmp_path / "expw"), 32, ("EXPR",), tmp_path / "cache", progress=False
    )
    assert table.expression.tolist() == [1, 0], "angry, neutral in the order of Aff-Wild2"
    assert table.expression_mask.all(), "without a split, rows are for training"
    means = images.read(table, np.arange(2)).mean(axis=(1, 2, 3))
    assert means.tolist() == pytest.approx([240, 15], abs=3)
    data = synthetic_data(size_px=32)
    joined = concat_tables([data.train, table])
    store = concat_stores([data.images, images])
    rows = np.array([0, len(joined) - 2, 3, len(joined) - 1])
    read = store.read(joined, rows)
    assert np.array_equal(read[[0, 2]], data.images.read(data.train, np.array([0, 3])))
    assert read[[1, 3]].mean(axis=(1, 2, 3)).tolist() == pytest.approx([240, 15], abs=3)


def test_open_training_rows_without_label_of_task_raises(tmp_path: Path) -> None:
    write_expw(tmp_path / "expw")
    with pytest.raises(ValueError, match="no training row labeled for AU; leave it out"):
        open_training_rows(
            DataSource("expw", tmp_path / "expw"), 32, ("AU",), tmp_path / "cache", progress=False
        )


def test_open_training_rows_keeps_people_of_like_named_data_sets_apart(tmp_path: Path) -> None:
    parts = []
    for folder, gray in (("BP4D", 200), ("BP4D+", 50)):
        codes = tmp_path / folder / "AUCoding" / "AU_OCC" / "F001_T1.csv"
        codes.parent.mkdir(parents=True)
        codes.write_text("0,1,12\n1,1,0\n2,0,1\n")
        images = tmp_path / folder / "2D+3D" / "F001" / "T1"
        images.mkdir(parents=True)
        for frame in (1, 2):
            cv2.imwrite(str(images / f"{frame:04d}.jpg"), np.full((64, 64, 3), gray, np.uint8))
        source = DataSource.parse(f"bp4d:{tmp_path / folder}")
        parts.append(open_training_rows(source, 32, ("AU",), tmp_path / "cache", progress=False))
    joined = concat_tables([table for table, _ in parts])
    assert len(set(joined.groups)) == len(set(joined.videos)) == 2
    store = concat_stores([images for _, images in parts])
    means = store.read(joined, np.arange(4)).mean(axis=(1, 2, 3))
    assert means.tolist() == pytest.approx([200, 200, 50, 50], abs=2)
    assert joined.au[:, 0].tolist() == [1, 0, 1, 0]


@pytest.mark.shared
def test_open_training_rows_of_ferplus_are_training_images_with_clear_votes(shared: Path) -> None:
    source = DataSource("ferplus", shared / "data" / "ferplus")
    table, images = open_training_rows(source, 24, ("EXPR", "AU"), Path("unused"), progress=False)
    assert 15_000 < len(table) < 28_709, "FER+ Training has 28,709 images"
    assert table.expression_mask.all()
    assert not table.au_mask.any()
    counts = np.bincount(table.expression, minlength=7)
    assert counts.argmax() == 0, "neutral is the most frequent class of FER+"
    assert images.read(table, np.array([0])).std() > 5


def test_data_source_parses_kind_and_folder(tmp_path: Path) -> None:
    assert DataSource.parse("expw:/data/ExpW") == DataSource("expw", Path("/data/ExpW"))
    assert DataSource.parse(str(tmp_path)) == DataSource("affwild2", tmp_path)
    with pytest.raises(ValueError, match="expected KIND:FOLDER with a kind of affwild2, affectnet"):
        DataSource.parse("imagenet:/data")


def test_concat_tables_fills_intensities_of_others_with_nan() -> None:
    table = synthetic_data(size_px=32).train
    graded = replace(
        table,
        au_intensity=np.full(table.au.shape, 2, np.float32),
        videos=tuple(f"graded {name}" for name in table.videos),
    )
    joined = concat_tables([table, graded])
    assert joined.au_intensity is not None
    assert np.isnan(joined.au_intensity[: len(table)]).all()
    assert (joined.au_intensity[len(table) :] == 2).all()
