"""Aff-Wild2 reader on a hand-written synthetic copy."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from tests.training.datasets.synthetic_affwild2 import (
    HEADER_AU,
    HEADER_AU_2020,
    HEADER_EXPR,
    HEADER_VA,
    abaw2,
    au_line,
    crops,
    write,
)
from training.datasets.affwild2 import load_cached, read_affwild2
from training.datasets.affwild2_layout import find_test_lists, video_file, without_position
from training.datasets.broken_data import BrokenDatasetError
from training.datasets.frame_table import FrameTable

REQUIRES = ("pyarrow",)


def row(table: FrameTable, video: str, frame: int) -> int:
    (index,) = np.flatnonzero((table.video == table.videos.index(video)) & (table.frame == frame))
    return int(index)


@pytest.fixture
def table(tmp_path):
    return read_affwild2(abaw2(tmp_path), "abaw2", progress=False)


def test_read_affwild2_returns_row_per_labeled_or_cropped_frame(table):
    assert table.videos == (
        "1-30-1280x720_left",
        "1-30-1280x720_right",
        "my_video",
        "one",
        "unseen",
    )
    of = {name: table.frame[table.video == k].tolist() for k, name in enumerate(table.videos)}
    assert of == {
        "1-30-1280x720_left": [1, 2, 3],
        "1-30-1280x720_right": [1, 2, 3],
        "my_video": [1, 2, 100001],
        "one": [1, 2, 3, 4, 5, 6],
        "unseen": [1, 2],
    }


def test_read_affwild2_joins_crops_by_frame_number(table):
    assert table.path_of(row(table, "one", 2)).name == "00002.jpg"
    assert table.path_of(row(table, "one", 3)) is None
    assert table.path_of(row(table, "one", 4)).name == "00004.jpg"
    assert table.path_of(row(table, "one", 4)).is_file()
    assert table.path_of(row(table, "my_video", 100001)).name == "100001.jpg"
    # Behind the missing crop, labels still are those of their own line: frame 5 is a surprise with
    # AU26.
    five = row(table, "one", 5)
    assert EXPRESSION_NAMES[table.expression[five]] == "surprise"
    assert [AU_NAMES[k] for k in np.flatnonzero(table.au[five])] == ["AU26"]


def test_read_affwild2_masks_absent_labels(table):
    au, expression, va = (table.labeled(task) for task in ("AU", "EXPR", "VA"))
    of = [row(table, "one", k) for k in range(1, 7)]
    assert au[of].tolist() == [True, True, True, False, True, False]
    assert expression[of].tolist() == [True, True, True, False, True, False]
    assert va[of].tolist() == [True, False, False, True, True, False]  # -5 in one column is enough
    assert not table.au_mask[
        row(table, "1-30-1280x720_left", 2)
    ].any()  # one -1 of twelve drops the line
    for values, mask in ((table.au, table.au_mask), (table.va, table.va_mask[:, None])):
        assert (np.where(mask, 0, values) == 0).all()  # no code is left behind a mask
    assert table.va[row(table, "one", 4)].tolist() == [-1, 1]
    assert table.va[row(table, "my_video", 1)] == pytest.approx([0.602, 0.389])


def test_rows_have_label_and_crop(table):
    def named(task, split):
        return [
            (table.videos[table.video[k]], int(table.frame[k])) for k in table.rows(task, split)
        ]

    assert named("AU", "train") == [("one", 1), ("one", 2), ("one", 5)]
    assert named("AU", "validation") == [("1-30-1280x720_left", 1), ("1-30-1280x720_left", 3)]
    assert named("EXPR", "train") == [
        ("1-30-1280x720_right", 2),
        ("1-30-1280x720_right", 3),
        ("one", 1),
        ("one", 2),
        ("one", 5),
    ]
    assert named("VA", "train") == [("my_video", 2)]
    assert named("VA", "validation") == [("one", 1), ("one", 4), ("one", 5)]
    assert table.rows("EXPR", "test").tolist() == []
    assert table.in_split("EXPR", "test").tolist() == [
        table.videos[k] == "unseen" for k in table.video
    ]


def test_read_affwild2_groups_people_of_one_video(table):
    groups = dict(zip(table.videos, table.groups, strict=True))
    assert groups["1-30-1280x720_left"] == groups["1-30-1280x720_right"] == "1-30-1280x720"
    assert groups["my_video"] == "my_video"


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("my_video_right", "my_video"),
        ("video_left_1", "video_left_1"),
        ("video5_main", "video5"),
        ("_left", "_left"),
        ("a_left_left", "a_left"),
        ("upright", "upright"),
    ],
)
def test_without_position_strips_position_suffix_only(name, video):
    assert without_position(name) == video


def test_read_affwild2_keeps_video_name_ending_in_position(tmp_path):
    videos = {"two_left": tmp_path / "two_left.mp4", "three": tmp_path / "three.avi"}
    assert video_file("two_left", videos) == videos["two_left"]
    assert video_file("three_right", videos) == videos["three"]
    assert video_file("two_right", videos) is None


def test_report_counts_skipped_items(table):
    skipped = {reason: entry.count for reason, entry in table.report.skipped.items()}
    assert skipped["AU line marked as not annotated"] == 2
    assert skipped["AU line with some columns absent: dropped, counted as not annotated"] == 1
    assert skipped["VA line marked as not annotated"] == 2
    assert skipped["valid EXPR label of a frame without a crop"] == 2  # one/3, _right/1
    assert skipped["crop without an EXPR line"] == 1  # one/6
    assert table.report.counts["label files, VA train"] == 1  # neither .DS_Store nor ._my_video.txt
    assert table.report.counts["usable frames, AU train"] == 3
    assert table.report.counts["frames labeled for AU + EXPR + VA"] == 2  # one/1 and one/5
    patterns = [
        n for what, n in table.report.counts.items() if what.startswith("frames labeled for")
    ]
    assert sum(patterns) == len(table)


def test_read_affwild2_abaw1_masks_missing_aus(tmp_path):
    lines = [HEADER_AU_2020, au_line(4, 6, of=8), "-1," * 7 + "-1"]  # AU12 and AU20
    write(tmp_path / "annotations/AU_Set/Training_Set/v.txt", "\n".join(lines))
    crops(tmp_path, "v", [1, 2])
    table = read_affwild2(tmp_path, progress=False)
    assert [AU_NAMES[k] for k in np.flatnonzero(table.au_mask[0])] == [
        "AU1",
        "AU2",
        "AU4",
        "AU6",
        "AU12",
        "AU15",
        "AU25",
    ]
    assert [AU_NAMES[k] for k in np.flatnonzero(table.au[0])] == ["AU12"]
    assert table.rows("AU", "train").tolist() == [0]
    with pytest.raises(ValueError, match="expected headers of version abaw2, got those of abaw1"):
        read_affwild2(tmp_path, "abaw2", progress=False)


@pytest.mark.parametrize(
    "folder", ["Third ABAW Annotations", "6th_ABAW_Annotations", "annotations"]
)
@pytest.mark.parametrize("task", ["EXPR_Classification_Challenge", "EXPR_Recognition_Challenge"])
def test_read_affwild2_of_later_years_masks_other_class(tmp_path, folder, task):
    write(tmp_path / folder / task / "Train_Set/v.txt", f"{HEADER_EXPR},Other\n7\n6\n-1")
    write(tmp_path / folder / "VA_Estimation_Challenge/Validation_Set/v.txt", f"{HEADER_VA}\n0,0\n")
    crops(tmp_path, "v", [1, 2, 3])
    table = read_affwild2(tmp_path, "abaw3", progress=False)
    assert table.expression_mask.tolist() == [False, True, False]
    assert table.expression.tolist() == [0, 6, 0]
    assert table.report.skipped["expression Other (class 7), outside the seven"].count == 1
    assert table.rows("VA", "validation").tolist() == [0]


def test_read_affwild2_multi_task_files_name_frames(tmp_path):
    base = tmp_path / "4th_ABAW_Annotations/MTL_Challenge"
    ones = ",".join(["1"] * 12)
    lines = [
        "image,valence,arousal,expression,aus",
        f"a/00007.jpg,0.5,-0.5,4,{ones}",
        "a/00003.jpg,-5,-5,-1," + "-1," * 12,
    ]
    write(base / "train_set.txt", "\n".join(lines))
    write(base / "validation_set.txt", f"b_left/00001.jpg,0,0,7,{ones}\n")  # no header, class Other
    crops(tmp_path, "a", [3, 7, 9])
    table = read_affwild2(tmp_path, progress=False)
    assert table.frame.tolist() == [3, 7, 9, 1]
    assert table.masks.tolist() == [[False] * 3, [True] * 3, [False] * 3, [True, False, True]]
    assert table.va[1].tolist() == [0.5, -0.5]
    assert table.rows("AU", "train").tolist() == [1]
    assert table.rows("AU", "validation", need_crop=False).tolist() == [3]
    assert any("has no header" in note for note in table.report.notes)


def test_read_affwild2_with_repeated_multi_task_frame_raises(tmp_path):
    line = "0,0,1," + ",".join(["0"] * 12)
    lines = [f"a/{frame:05d}.jpg,{line}" for frame in (2, 1, 2)]
    text = "\n".join(["image,valence,arousal,expression,aus", *lines, ""])
    write(tmp_path / "annotations/MTL_Challenge/train_set.txt", text)
    with pytest.raises(
        BrokenDatasetError, match=r"train_set\.txt:4: frame 2 of a appears a second time"
    ):
        read_affwild2(tmp_path, progress=False)


BROKEN = {
    "a header of another task": ("AU", f"{HEADER_VA}\n0,0\n", 1, "expected the header"),
    "no header": ("EXPR", "0\n1\n", 1, "expected the header"),
    "an empty file": ("VA", "", 1, "empty"),
    "too few columns": ("AU", f"{HEADER_AU}\n{au_line()}\n0,1\n", 3, "12 numbers"),
    "an intensity": ("AU", f"{HEADER_AU}\n3,{au_line(of=11)}\n", 2, "0, 1 or -1"),
    "a class too high": ("EXPR", f"{HEADER_EXPR}\n0\n8\n", 3, "0 to 6"),
    "half a class": ("EXPR", f"{HEADER_EXPR}\n0.5\n", 2, "one integer"),
    "two classes": ("EXPR", f"{HEADER_EXPR}\n1,2\n", 2, "one integer"),
    "a word": ("VA", f"{HEADER_VA}\n0,0\n0,high\n", 3, "from -1 to 1"),
    "a valence of 1.5": ("VA", f"{HEADER_VA}\n1.5,0\n", 2, "from -1 to 1"),
    "not a number": ("VA", f"{HEADER_VA}\n0,nan\n", 2, "from -1 to 1"),
    "a blank line in the middle": ("VA", f"{HEADER_VA}\n0,0\n\n0,0\n", 3, "from -1 to 1"),
}


@pytest.mark.parametrize(("task", "text", "line", "problem"), BROKEN.values(), ids=BROKEN)
def test_reader_with_broken_line_names_it(tmp_path, task, text, line, problem):
    path = write(tmp_path / f"annotations/{task}_Set/Train_Set/bad.txt", text)
    write(tmp_path / "annotations/VA_Set/Train_Set/good.txt", f"{HEADER_VA}\n0,0\n")
    with pytest.raises(BrokenDatasetError, match=problem) as raised:
        read_affwild2(tmp_path, progress=False)
    (broken,) = raised.value.broken
    assert (broken.path, broken.line) == (path, line)
    kept = read_affwild2(tmp_path, skip_broken=True, progress=False)
    assert kept.videos == ("good",)
    assert kept.report.skipped["broken label file"].count == 1


def test_read_affwild2_with_invalid_utf8_names_line(tmp_path):
    path = tmp_path / "annotations/VA_Set/Train_Set/bad.txt"
    write(path, "")
    path.write_bytes(b"valence,arousal\n0,0\n\xff\xfe\n")
    with pytest.raises(BrokenDatasetError, match=r"bad\.txt:3: not UTF-8"):
        read_affwild2(tmp_path, progress=False)


def test_read_affwild2_with_ambiguous_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="got no folder"):
        read_affwild2(tmp_path, progress=False)
    for year in ("3rd", "5th"):
        write(
            tmp_path / f"{year}_ABAW_Annotations/VA_Estimation_Challenge/Train_Set/v.txt",
            f"{HEADER_VA}\n0,0\n",
        )
    with pytest.raises(ValueError, match="several annotation folders"):
        read_affwild2(tmp_path, progress=False)
    assert len(read_affwild2(tmp_path, annotations="5th_ABAW_Annotations", progress=False)) == 1
    with pytest.raises(ValueError, match="version must be one of"):
        read_affwild2(tmp_path, "abaw9", annotations="5th_ABAW_Annotations", progress=False)  # type: ignore[arg-type]


def test_read_affwild2_with_video_in_two_splits_raises(tmp_path):
    for split in ("Train_Set", "Validation_Set"):
        write(tmp_path / f"annotations/VA_Set/{split}/v.txt", f"{HEADER_VA}\n0,0\n")
    with pytest.raises(ValueError, match="v is annotated twice for VA"):
        read_affwild2(tmp_path, progress=False)


def test_read_affwild2_with_mixed_versions_raises(tmp_path):
    write(tmp_path / "annotations/AU_Set/Train_Set/a.txt", f"{HEADER_AU}\n{au_line()}\n")
    write(tmp_path / "annotations/AU_Set/Train_Set/b.txt", f"{HEADER_AU_2020}\n{au_line(of=8)}\n")
    with pytest.raises(ValueError, match="two versions"):
        read_affwild2(tmp_path, progress=False)


def test_read_affwild2_finds_crops_packed_into_folders_of_their_name(tmp_path):
    """As unpacked from archives that hold their own folder."""
    plain, packed = abaw2(tmp_path / "plain"), abaw2(tmp_path / "packed")
    crops_folder = packed / "cropped_aligned"
    (crops_folder / "one").rename(packed / "moved")
    (crops_folder / "one").mkdir()
    (packed / "moved").rename(crops_folder / "one" / "one")
    crops_folder.rename(packed / "inner")
    crops_folder.mkdir()
    (packed / "inner").rename(crops_folder / "cropped_aligned")
    expected = read_affwild2(plain, timing=False, progress=False)
    found = read_affwild2(packed, timing=False, progress=False)
    assert found.videos == expected.videos
    assert found.has_crop.tolist() == expected.has_crop.tolist()
    name = next(path for path in found.path.to_pylist() if path and "/one/" in path)
    assert name.startswith("cropped_aligned/cropped_aligned/one/one/")


def test_read_affwild2_with_crops_numbered_from_zero_raises(tmp_path):
    root = abaw2(tmp_path)
    crops(root, "my_video", [0, 1])
    with pytest.raises(ValueError, match=r"cropped_aligned/my_video/00000.jpg; raise all numbers"):
        read_affwild2(root, timing=False, progress=False)


def test_report_names_second_copy_and_videos_without_crops(tmp_path):
    root = abaw2(tmp_path)
    crops(root, "one", [1, 2], folder="cropped_aligned_copy")
    (root / "cropped_aligned" / "my_video").rename(root / "foreign")
    report = read_affwild2(root, timing=False, progress=False).report
    second = report.skipped["second crop folder of the same video"]
    assert second.examples == ["cropped_aligned_copy/one"]
    missing = report.skipped["video without a crop folder (cropped_aligned/<video>)"]
    assert missing.examples == ["my_video"]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("test_set_AU_Challenge.txt", "AU"),
        ("test_set_Expr_Challenge.txt", "EXPR"),
        ("test_set_VA_Challenge.txt", "VA"),
        ("testset/Action_Unit_Detection_Challenge_test_set_release.txt", "AU"),
        ("testset/Expression_Recognition_Challenge_test_set_release.txt", "EXPR"),
        ("testset/Valence_Arousal_Estimation_Challenge_test_set_release.txt", "VA"),
        ("testset/MTL_Challenge_test_set_release.txt", None),
        ("testset/Multi_Task_Learning_Challenge_test_set_release.txt", None),
    ],
)
def test_find_test_lists_by_the_names_of_each_year(tmp_path, name, task):
    write(tmp_path / name, "video\n")
    write(tmp_path / "readme.txt", "video\n")
    (found,) = find_test_lists(tmp_path)
    assert (found.path, found.task, found.split) == (tmp_path / name, task, "test")


def test_read_affwild2_keeps_other_when_asked(tmp_path):
    folder = tmp_path / "5th_ABAW_Annotations/EXPR_Classification_Challenge"
    write(folder / "Train_Set/one.txt", f"{HEADER_EXPR},Other\n7\n-1\n2\n")
    crops(tmp_path, "one", [1, 2, 3])
    table = read_affwild2(tmp_path, progress=False, timing=False, other=True)
    assert table.expression.tolist() == [7, 0, 2]
    assert table.expression_mask.tolist() == [True, False, True]
    masked = load_cached(tmp_path, cache=tmp_path / "c", progress=False, timing=False)
    kept = load_cached(tmp_path, cache=tmp_path / "c", progress=False, timing=False, other=True)
    assert masked.expression_mask.sum() == 1
    assert kept.expression_mask.sum() == 2, "cached apart"
