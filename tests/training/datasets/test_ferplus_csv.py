"""FER+ reader on synthetic tables, and on real images compared with the atlases."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from tests.training.datasets.synthetic_affwild2 import write
from training.datasets.broken_data import BrokenFileError
from training.datasets.ferplus import VOTE_NAMES, read_ferplus
from training.datasets.ferplus_csv import FOLDERS, read_ferplus_csv

VOTES_HEADER = "Usage,Image name," + ",".join(VOTE_NAMES)
USAGE = ("Training", "Training", "PublicTest", "PrivateTest")
NAMES = ("fer0000000.png", "", "fer0000002.png", "fer0000005.png")


@pytest.fixture
def faces(tmp_path):
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (4, 48, 48)).astype(np.uint8)
    votes = random.integers(0, 5, (4, 10))
    lines = [
        f"{u},{n},{','.join(map(str, v))}" for u, n, v in zip(USAGE, NAMES, votes, strict=True)
    ]
    write(tmp_path / "fer2013new.csv", "\n".join([VOTES_HEADER, *lines]))
    return tmp_path, images, votes


def write_pixels(root, images, usage=USAGE):
    lines = [f"0,{' '.join(map(str, p.ravel()))},{u}" for p, u in zip(images, usage, strict=True)]
    return write(root / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *lines]))


def test_read_ferplus_csv_matches_rows_of_both_tables(faces):
    root, images, votes = faces
    write_pixels(root, images)
    read = read_ferplus_csv(root, progress=False)
    np.testing.assert_array_equal(read.images, images)
    np.testing.assert_array_equal(read.votes, votes)
    assert read.usage.tolist() == list(USAGE)
    assert read.names.tolist() == list(NAMES)


def test_read_ferplus_csv_from_folders_matches_names(faces):
    root, images, votes = faces
    for image, usage, name in zip(images, USAGE, NAMES, strict=True):
        if name:
            (root / FOLDERS[usage]).mkdir(exist_ok=True)
            cv2.imwrite(str(root / FOLDERS[usage] / name), image)
    read = read_ferplus_csv(root, progress=False)
    named = [0, 2, 3]
    np.testing.assert_array_equal(read.images, images[named])
    np.testing.assert_array_equal(read.votes, votes[named])
    (root / "FER2013Valid/fer0000002.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"fer2013new\.csv:4 names .*fer0000002\.png, which cannot be read"
    ):
        read_ferplus_csv(root, progress=False)


def test_read_ferplus_csv_with_mismatch_names_it(faces):
    root, images, _ = faces
    with pytest.raises(FileNotFoundError, match=r"must contain fer2013\.csv, or FER2013Train"):
        read_ferplus_csv(root, progress=False)
    write_pixels(root, images, ("Training", "PublicTest", "PublicTest", "PrivateTest"))
    with pytest.raises(BrokenFileError, match=r"fer2013new\.csv:3: Usage must be PublicTest"):
        read_ferplus_csv(root, progress=False)
    write_pixels(root, images[:3], USAGE[:3])
    with pytest.raises(BrokenFileError, match=r"fer2013\.csv: has 3 rows, fer2013new\.csv has 4"):
        read_ferplus_csv(root, progress=False)
    path = write_pixels(root, images)
    path.write_text(path.read_text().replace(",Training", " 9,Training", 1))
    with pytest.raises(
        BrokenFileError, match=r"fer2013\.csv:2: expected 2304 numbers 0 to 255, got 2305"
    ):
        read_ferplus_csv(root, progress=False)
    path.unlink()
    write(root / "fer2013new.csv", f"{VOTES_HEADER}\nTraining,a.png,1,2\n")
    (root / "FER2013Train").mkdir()
    with pytest.raises(BrokenFileError, match=r"fer2013new\.csv:2: expected 12 fields, got 4"):
        read_ferplus_csv(root, progress=False)


@pytest.mark.shared
def test_read_ferplus_csv_of_real_faces_equals_atlases(shared, tmp_path):
    known = read_ferplus(shared / "data/ferplus")
    chosen = np.concatenate(
        [np.flatnonzero(known.usage == usage)[:40] for usage in np.unique(known.usage)]
    )
    with (tmp_path / "fer2013new.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(VOTES_HEADER.split(","))
        for k in chosen:
            folder = tmp_path / FOLDERS[str(known.usage[k])]
            folder.mkdir(exist_ok=True)
            cv2.imwrite(str(folder / str(known.names[k])), known.images[k])
            writer.writerow([known.usage[k], known.names[k], *known.votes[k]])
    read = read_ferplus_csv(tmp_path, progress=False)
    np.testing.assert_array_equal(read.images, known.images[chosen])
    np.testing.assert_array_equal(read.votes, known.votes[chosen])
