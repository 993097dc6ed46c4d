"""Rows, crops and frames of a made-up Aff-Wild2 folder with the traps of the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.evaluation.made_up_data import AU_ROW, write_affwild2, write_labels
from training.evaluation.affwild2_labels import LabelError, load_labels, source_name
from training.evaluation.label_table import LabelTable


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_affwild2(tmp_path_factory.mktemp("affwild2"))


@pytest.fixture(scope="module")
def labels(folder: Path) -> LabelTable:
    return load_labels(folder)


def rows(labels: LabelTable, name: str) -> slice:
    return labels.rows_of(labels.videos.index(name))


def test_videos_are_those_of_the_split_and_of_the_test_lists(labels: LabelTable) -> None:
    assert labels.videos == ("12-30-9x9", "one", "two_left", "unseen")
    assert labels.listed["AU_Set"] == {"12-30-9x9", "one", "unseen"}
    assert labels.listed["VA_Set"] == {"12-30-9x9", "two_left"}


def test_frames_reach_as_far_as_labels_crops_or_video(labels: LabelTable) -> None:
    counts = {name: rows(labels, name).stop - rows(labels, name).start for name in labels.videos}
    assert counts == {"12-30-9x9": 6, "one": 5, "two_left": 2, "unseen": 1}
    assert labels.frame[rows(labels, "one")].tolist() == [1, 2, 3, 4, 5]


def test_crops_are_joined_by_their_number(labels: LabelTable) -> None:
    crops = labels.crop[rows(labels, "one")]
    assert [None if crop is None else Path(crop).name for crop in crops] == [None, "00002.jpg", "00003.jpg", None, "00005.jpg"]
    assert labels.crop[rows(labels, "two_left")] == (None, None)


def test_labels_stay_raw(labels: LabelTable) -> None:
    one = rows(labels, "one")
    assert labels.expression[one].tolist() == [0, 4, -1, 6, 4]
    assert labels.au[one][:, 0].tolist() == [0, 0, -1, 1, 0]
    assert labels.au[one][1].tolist() == [int(value) for value in AU_ROW.split(",")]
    assert (labels.va[one] == -5).all()  # its valence is of the training split
    np.testing.assert_allclose(labels.va[rows(labels, "12-30-9x9")][:4], [[0.602, 0.389], [-5, -5], [-0.25, 1], [-5, -5]])


def test_the_training_split_has_its_own_labels(folder: Path) -> None:
    training = load_labels(folder, "training")
    assert training.listed["VA_Set"] == {"one"}
    assert (training.au == -1).all()
    assert (load_labels(folder, "all").va[:, 0] > -5).sum() == 5 + 2 + 2


def test_rows_are_found_by_video_and_frame(labels: LabelTable) -> None:
    video = np.array([labels.videos.index(name) for name in ("one", "one", "one", "unseen", "two_left")])
    found = labels.row_index(video, np.array([1, 5, 6, 0, 2]))
    assert found.tolist() == [6, 10, -1, -1, 12]


def test_only_a_true_suffix_is_a_side() -> None:
    names = ("12_left", "video_1", "left", "a_right_b", "10-60-1280x720_right")
    assert [source_name(name) for name in names] == ["12", "video_1", "left", "a_right_b", "10-60-1280x720"]


@pytest.mark.parametrize(
    ("task", "line", "message"),
    [
        ("AU_Set", "0,1", r"v\.txt:3: wanted 12 numbers, each 0, 1 or -1, got '0,1'"),
        ("AU_Set", AU_ROW.replace("1", "9"), r":3: wanted 12 numbers"),
        ("EXPR_Set", "happy", r":3: wanted one number from -1 to 6, got 'happy'"),
        ("EXPR_Set", "7", r":3: wanted one number"),
        ("EXPR_Set", "1.5", r":3: wanted one number"),
        ("VA_Set", "0.5,nan", r":3: wanted two numbers, each in \[-1, 1\] or -5"),
        ("VA_Set", "", r":3: wanted two numbers"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, task: str, line: str, message: str) -> None:
    good = {"AU_Set": AU_ROW, "EXPR_Set": "1", "VA_Set": "0,0"}[task]
    write_labels(tmp_path, task, "Validation_Set", "v", [good, line, good])
    with pytest.raises(LabelError, match=message):
        load_labels(tmp_path)


def test_headers_of_other_challenges_are_refused(tmp_path: Path) -> None:
    path = write_labels(tmp_path, "AU_Set", "Validation_Set", "v", [])
    path.write_text("AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n")
    with pytest.raises(LabelError, match=r"v\.txt:1: the header must be 'AU1,AU2,AU4,AU6,AU7"):
        load_labels(tmp_path)
    path.write_text("")
    with pytest.raises(LabelError, match="got ''"):
        load_labels(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelError, match="cannot be read"):
        load_labels(tmp_path)


def test_an_empty_folder_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="annotations/<task>/Validation_Set"):
        load_labels(tmp_path)
    with pytest.raises(LabelError, match="split must be one of"):
        load_labels(tmp_path, "test")
    (tmp_path / "test_set_VA_Challenge.txt").write_text("fine\n../../etc\n")
    with pytest.raises(LabelError, match=r"test_set_VA_Challenge\.txt:2"):
        load_labels(tmp_path)


def test_a_video_in_two_splits_of_one_task_is_refused(tmp_path: Path) -> None:
    for split in ("Train_Set", "Validation_Set"):
        write_labels(tmp_path, "EXPR_Set", split, "v", ["1"])
    load_labels(tmp_path)
    with pytest.raises(LabelError, match="already has labels of EXPR_Set"):
        load_labels(tmp_path, "all")
