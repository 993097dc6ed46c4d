"""Rows, crops and frames of a synthetic Aff-Wild2 folder with irregular files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.datasets.synthetic_affwild2 import (
    HEADER_AU_2020,
    HEADER_EXPR,
    HEADER_VA,
    abaw2,
    au_line,
    crops,
    write,
)
from tests.training.evaluation.synthetic_data import (
    AU_ROW,
    write_affwild2,
    write_labels,
    write_video,
)
from training.datasets.affwild2_layout import without_position
from training.evaluation.affwild2_labels import LabelError, load_labels
from training.evaluation.label_table import LabelTable


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_affwild2(tmp_path_factory.mktemp("affwild2"))


@pytest.fixture(scope="module")
def labels(folder: Path) -> LabelTable:
    return load_labels(folder)


def rows(labels: LabelTable, name: str) -> slice:
    return labels.rows_of(labels.videos.index(name))


def test_load_labels_lists_videos_of_split_and_test_lists(labels: LabelTable) -> None:
    assert labels.videos == ("12-30-9x9", "one", "two_left", "unseen")
    assert labels.listed["AU_Set"] == {"12-30-9x9", "one", "unseen"}
    assert labels.listed["VA_Set"] == {"12-30-9x9", "two_left"}


def test_load_labels_frame_count_is_maximum_of_labels_crops_and_video(labels: LabelTable) -> None:
    counts = {name: rows(labels, name).stop - rows(labels, name).start for name in labels.videos}
    assert counts == {"12-30-9x9": 6, "one": 5, "two_left": 2, "unseen": 1}
    assert labels.frame[rows(labels, "one")].tolist() == [1, 2, 3, 4, 5]


def test_load_labels_joins_crops_by_number(labels: LabelTable) -> None:
    crops = labels.crop[rows(labels, "one")]
    assert [None if crop is None else Path(crop).name for crop in crops] == [
        None,
        "00002.jpg",
        "00003.jpg",
        None,
        "00005.jpg",
    ]
    assert labels.crop[rows(labels, "two_left")] == (None, None)


def test_load_labels_keeps_raw_values(labels: LabelTable) -> None:
    one = rows(labels, "one")
    assert labels.expression[one].tolist() == [0, 4, -1, 6, 4]
    assert labels.au[one][:, 0].tolist() == [0, 0, -1, 1, 0]
    assert labels.au[one][1].tolist() == [int(value) for value in AU_ROW.split(",")]
    assert (labels.va[one] == -5).all()  # its valence is of the training split
    np.testing.assert_allclose(
        labels.va[rows(labels, "12-30-9x9")][:4], [[0.602, 0.389], [-5, -5], [-0.25, 1], [-5, -5]]
    )


def test_load_labels_of_training_split_reads_training_labels(folder: Path) -> None:
    training = load_labels(folder, "training")
    assert training.listed["VA_Set"] == {"one"}
    assert (training.au == -1).all()
    assert (load_labels(folder, "all").va[:, 0] > -5).sum() == 5 + 2 + 2


def test_row_index_finds_rows_by_video_and_frame(labels: LabelTable) -> None:
    video = np.array(
        [labels.videos.index(name) for name in ("one", "one", "one", "unseen", "two_left")]
    )
    rows = labels.row_index(video, np.array([1, 5, 6, 0, 2]))
    assert rows.tolist() == [6, 10, -1, -1, 12]


def test_side_of_video_name_requires_exact_suffix() -> None:
    names = ("12_left", "video_1", "left", "_left", "a_right_b", "10-60-1280x720_right", "12_main")
    expected = ["12", "video_1", "left", "_left", "a_right_b", "10-60-1280x720", "12"]
    assert [without_position(name) for name in names] == expected


@pytest.mark.parametrize(
    ("task", "line", "message"),
    [
        ("AU_Set", "0,1", r"v\.txt:3: expected 12 numbers 0, 1 or -1, got '0,1'"),
        ("AU_Set", AU_ROW.replace("1", "3"), r"v\.txt:3: expected 12 numbers"),
        ("EXPR_Set", "happy", r"v\.txt:3: expected one integer, 0 to 6 or -1, got 'happy'"),
        ("EXPR_Set", "8", r"v\.txt:3: expected one integer"),
        ("EXPR_Set", "1.5", r"v\.txt:3: expected one integer"),
        ("VA_Set", "0.5,nan", r"v\.txt:3: expected valence and arousal from -1 to 1, or -5"),
        ("VA_Set", "", r"v\.txt:3: expected valence and arousal"),
    ],
)
def test_load_labels_of_invalid_line_names_it(
    tmp_path: Path, task: str, line: str, message: str
) -> None:
    good = {"AU_Set": AU_ROW, "EXPR_Set": "1", "VA_Set": "0,0"}[task]
    write_labels(tmp_path, task, "Validation_Set", "v", [good, line, good])
    write_labels(tmp_path, "VA_Set", "Validation_Set", "w", ["0,0"])
    with pytest.raises(LabelError, match=message):
        load_labels(tmp_path)
    # Tasks that are not evaluated may be invalid.
    write_labels(tmp_path, task, "Train_Set", "u", [good])
    assert load_labels(tmp_path, "training").videos == ("u",)


def test_load_labels_reports_all_errors_at_once(tmp_path: Path) -> None:
    for name in "ab":
        write_labels(tmp_path, "VA_Set", "Validation_Set", name, ["0,0", "2,0"])
    (tmp_path / "test_set_VA_Challenge.txt").write_text("fine\n../../etc\n")
    with pytest.raises(
        LabelError,
        match=r"a\.txt:3: (?s:.*)b\.txt:3: (?s:.*)"
        r"test_set_VA_Challenge\.txt:2: expected a video name",
    ):
        load_labels(tmp_path)


def test_load_labels_of_wrong_header_raises(tmp_path: Path) -> None:
    path = write_labels(tmp_path, "AU_Set", "Validation_Set", "v", [])
    path.write_text(HEADER_VA)
    with pytest.raises(LabelError, match=r"v\.txt:1: expected the header AU1,AU2,AU4,AU6,AU7"):
        load_labels(tmp_path)
    path.write_text("")
    with pytest.raises(LabelError, match=r"v\.txt:1: the file is empty"):
        load_labels(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelError, match=r"v\.txt:1: not UTF-8"):
        load_labels(tmp_path)


def test_load_labels_of_empty_folder_names_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="expected `annotations`"):
        load_labels(tmp_path)
    with pytest.raises(LabelError, match="expected split to be one of"):
        load_labels(tmp_path, "everything")
    write_labels(tmp_path, "VA_Set", "Train_Set", "v", ["0,0"])
    with pytest.raises(
        LabelError,
        match="no label file of split validation and no test list, only labels of train",
    ):
        load_labels(tmp_path)


def test_load_labels_of_video_in_two_splits_raises(tmp_path: Path) -> None:
    for split in ("Train_Set", "Validation_Set"):
        write_labels(tmp_path, "EXPR_Set", split, "v", ["1"])
    load_labels(tmp_path)
    with pytest.raises(LabelError, match="v is annotated twice for EXPR"):
        load_labels(tmp_path, "all")


def test_load_labels_keeps_listed_videos_without_labels_and_crops(tmp_path: Path) -> None:
    write_labels(tmp_path, "VA_Set", "Validation_Set", "v", ["0,0"])
    (tmp_path / "test_set_VA_Challenge.txt").write_text("nowhere\nfilmed_left\n")
    write_video(tmp_path / "videos" / "filmed.avi", 4)
    labels = load_labels(tmp_path)
    assert labels.videos == ("filmed_left", "nowhere", "v")
    assert np.bincount(labels.video, minlength=3).tolist() == [4, 0, 1]
    assert labels.listed["VA_Set"] == {"filmed_left", "nowhere", "v"}
    assert labels.listed["AU_Set"] == set()


def test_load_labels_after_gap_keeps_frame_numbers(tmp_path: Path) -> None:
    """The folder that the reader of data sets is tested with: one video reaches to crop 6 with five
    lines.
    """
    labels = load_labels(abaw2(tmp_path))
    one = rows(labels, "one")
    assert labels.frame[one].tolist() == [1, 2, 3, 4, 5, 6]
    assert labels.va[one].tolist() == [
        [0.5, 0.25],
        [-5, -5],
        [-5, -5],
        [-1, 1],
        pytest.approx([0.1, 0.2]),
        [-5, -5],
    ]
    assert (labels.au[one] == -1).all()  # AUs of this video are for training
    left = rows(labels, "1-30-1280x720_left")
    assert labels.au[left][:, 1].tolist() == [
        1,
        -1,
        0,
    ]  # a line with one absent column counts for none
    assert labels.listed["EXPR_Set"] == {"unseen"}
    assert labels.notes == ()


def test_load_labels_of_abaw1_has_eight_aus_and_note(tmp_path: Path) -> None:
    lines = [HEADER_AU_2020, au_line(4, 6, of=8), ",".join(["-1"] * 8)]
    write(tmp_path / "annotations/AU_Set/Validation_Set/v.txt", "\n".join(lines))
    labels = load_labels(tmp_path)
    assert labels.au.tolist() == [[0, 0, 0, 0, -1, -1, 1, 0, -1, -1, 0, -1], [-1] * 12]
    assert labels.notes == (
        "AU labels are those of ABAW1, without AU7, AU10, AU23, AU24, AU26: "
        "these are not evaluated.",
    )


def test_load_labels_of_class_other_is_not_evaluated(tmp_path: Path) -> None:
    base = tmp_path / "5th_ABAW_Annotations"
    write(
        base / "EXPR_Classification_Challenge/Validation_Set/v.txt",
        f"{HEADER_EXPR},Other\n7\n6\n-1\n0\n",
    )
    write(base / "VA_Estimation_Challenge/Train_Set/v.txt", f"{HEADER_VA}\n0,0\n")
    write(
        tmp_path / "4th_ABAW_Annotations/VA_Estimation_Challenge/Validation_Set/v.txt",
        f"{HEADER_VA}\n0,0\n",
    )
    with pytest.raises(LabelError, match="several annotation folders"):
        load_labels(tmp_path)
    labels = load_labels(tmp_path, annotations="5th_ABAW_Annotations")
    assert labels.expression.tolist() == [-1, 6, -1, 0]
    assert (labels.va == -5).all()
    assert [note[:36] for note in labels.notes] == ["1 frames are of the class Other (ABA"]


def test_load_labels_of_multi_task_files_fills_named_frames(tmp_path: Path) -> None:
    base = tmp_path / "4th_ABAW_Annotations/MTL_Challenge"
    zeros = ",".join(["0"] * 12)
    write(
        base / "validation_set.txt",
        f"image,valence,arousal,expression,aus\na/00004.jpg,0.5,-0.5,4,{zeros}\n",
    )
    write(base / "train_set.txt", f"b/00001.jpg,0,0,1,{zeros}\n")
    crops(tmp_path, "a", [2, 5])
    labels = load_labels(tmp_path)
    assert labels.videos == ("a",)
    assert labels.expression.tolist() == [-1, -1, -1, 4, -1]
    assert labels.va[3].tolist() == [0.5, -0.5]
    assert [crop is not None for crop in labels.crop] == [False, True, False, False, True]
    write(
        base / "validation_set.txt",
        f"image,valence,arousal,expression,aus\na/99999999999.jpg,0,0,1,{zeros}\n",
    )
    with pytest.raises(LabelError, match=r"validation_set\.txt:2: expected VIDEO/NNNNN\.jpg"):
        load_labels(tmp_path)


def test_load_labels_of_crop_with_invalid_number_skips_it_with_note(tmp_path: Path) -> None:
    write_labels(tmp_path, "VA_Set", "Validation_Set", "v", ["0,0"])
    crops(tmp_path, "v", [1, 20240131123456])
    labels = load_labels(tmp_path)
    assert len(labels) == 1
    assert "1 files among the crops were skipped" in labels.notes[0]
    assert "20240131123456.jpg" in labels.notes[0]


def test_load_labels_of_test_split_has_videos_of_test_lists_without_labels(folder: Path) -> None:
    table = load_labels(folder, "test")
    assert table.videos == ("unseen",)
    assert table.listed["AU_Set"] == {"unseen"}
    assert not table.listed["VA_Set"]
    assert (table.au == -1).all()
    lists = abaw2(folder.parent / "no lists")
    (lists / "test_set_Expr_Challenge.txt").unlink()
    with pytest.raises(LabelError, match="no test list"):
        load_labels(lists, "test")
