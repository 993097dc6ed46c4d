"""Dataset readers on a few synthetic files in the published formats."""

from __future__ import annotations

import json

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from tests.training.datasets.synthetic_affwild2 import JPG, write
from training.datasets.afew_va import read_afew_va
from training.datasets.affectnet import read_affectnet
from training.datasets.bp4d import read_bp4d
from training.datasets.broken_data import BrokenFileError
from training.datasets.dfew import read_dfew
from training.datasets.disfa import read_disfa
from training.datasets.expw import read_expw
from training.datasets.frame_table import FrameTable
from training.datasets.readers import load_cached

REQUIRES = ("pyarrow",)


def images(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPG)


def expressions(table: FrameTable) -> dict[str, str | None]:
    return {
        table.videos[table.video[k]]: EXPRESSION_NAMES[table.expression[k]]
        if table.expression_mask[k]
        else None
        for k in range(len(table))
    }


def units(table: FrameTable, row: int) -> dict[str, float]:
    return {AU_NAMES[k]: float(table.au[row, k]) for k in np.flatnonzero(table.au_mask[row])}


# --- AffectNet ---

POINTS = ";".join(f"{k}.5" for k in range(136))
AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal"
)
AFFECTNET_CLASSES = [
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    None,
    None,
    None,
    None,
]


def affectnet_line(name: str, code: int, va: str = "0.25,-0.5") -> str:
    return f"{name},10,20,100,120,{POINTS},{code},{va}"


@pytest.fixture
def affectnet(tmp_path):
    lists = tmp_path / "Manually_Annotated_file_lists"
    lines = [affectnet_line(f"1/{k}.jpg", k, "-2,-2" if k > 7 else "0.25,-0.5") for k in range(11)]
    write(
        lists / "training.csv",
        "\n".join([AFFECTNET_HEADER, *lines, affectnet_line("1/gone.jpg", 0)]),
    )
    write(lists / "validation.csv", affectnet_line("2/v.jpg", 6, "-1,1") + "\n")  # no header
    images(tmp_path / "Manually_Annotated_Images", *(f"1/{k}.jpg" for k in range(11)), "2/v.jpg")
    return tmp_path


def test_read_affectnet_2017_lists(affectnet):
    table = read_affectnet(affectnet, progress=False)
    assert expressions(table) == {
        f"1/{k}.jpg": name for k, name in enumerate(AFFECTNET_CLASSES)
    } | {"2/v.jpg": "anger"}
    assert table.va_mask.tolist() == [True] * 8 + [False] * 3 + [True]
    assert table.va[0].tolist() == [0.25, -0.5]
    assert table.box[0].tolist() == [10, 20, 110, 140]
    assert table.landmarks_xy[0, 1].tolist() == [2.5, 3.5]
    assert table.path_of(3).is_file()
    assert table.rows("EXPR", "validation").tolist() == [11]
    assert table.report.skipped["missing image"].examples == ["1/gone.jpg"]


def test_read_affectnet_2021_files(tmp_path):
    for folder, split in (("train_set", 3), ("val_set", 2)):
        for k in range(split):
            images(tmp_path / folder / "images", f"{k}.jpg")
            annotations = tmp_path / folder / "annotations"
            annotations.mkdir(exist_ok=True)
            np.save(annotations / f"{k}_exp.npy", np.array(str(k + 4)))  # some copies keep text
            np.save(annotations / f"{k}_val.npy", np.array(0.5))
            np.save(annotations / f"{k}_aro.npy", np.array("-0.25"))
            np.save(annotations / f"{k}_lnd.npy", np.arange(136.0))
    table = read_affectnet(tmp_path, progress=False)
    assert expressions(table) == {
        "train_set/0": "fear",
        "train_set/1": "disgust",
        "train_set/2": "anger",
        "val_set/0": "fear",
        "val_set/1": "disgust",
    }
    assert table.va.tolist() == [[0.5, -0.25]] * 5
    assert table.landmarks_xy[4, 67].tolist() == [134, 135]
    assert table.rows("VA", "validation").tolist() == [3, 4]
    with (tmp_path / "val_set/annotations/0_val.npy").open(
        "wb"
    ) as file:  # an array of objects would be unpickled
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": (1,)}
        )
    with pytest.raises(BrokenFileError, match=r"0_val\.npy: not an array of numbers"):
        read_affectnet(tmp_path, progress=False)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (affectnet_line("1/1.jpg", 11), "expression must be a number from 0 to 10"),
        (affectnet_line("1/1.jpg", 1, "-1.5,0"), "from -1 to 1, or -2"),
        (affectnet_line("1/1.jpg", 1, "high,0"), "from -2 to 1, got 'high'"),
        (affectnet_line("1/1.jpg", 1).replace("135.5", ""), "68 landmarks"),
        ("1/1.jpg,1,2", "expected 9 fields, got 3"),
    ],
)
def test_read_affectnet_with_broken_line_names_it(affectnet, line, problem):
    path = affectnet / "Manually_Annotated_file_lists/training.csv"
    write(path, "\n".join([AFFECTNET_HEADER, affectnet_line("1/0.jpg", 0), line]))
    with pytest.raises(BrokenFileError, match=problem) as raised:
        read_affectnet(affectnet, progress=False)
    assert (raised.value.path, raised.value.line) == (path, 3)


# --- ExpW ---


def test_read_expw(tmp_path):
    lines = [f"a.jpg {k} 10 20 120 140 50.5 {k}" for k in range(7)]
    write(
        tmp_path / "label/label.lst",
        "\n".join([*lines, lines[0], "gone.jpg 0 1 2 3 4 9 0", "b.jpg 0 0 0 9 9 3.5 3"]),
    )
    images(tmp_path / "image/origin", "a.jpg", "b.jpg")
    table = read_expw(tmp_path, progress=False)
    names = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert expressions(table) == {f"a.jpg#{k}": name for k, name in enumerate(names)} | {
        "b.jpg#0": "happiness"
    }
    assert table.box[0].tolist() == [20, 10, 120, 140]  # the file says top left right bottom
    assert table.groups == ("a.jpg",) * 7 + ("b.jpg",)
    assert {reason: entry.count for reason, entry in table.report.skipped.items()} == {
        "face listed twice": 1,
        "missing image": 1,
    }
    assert len(read_expw(tmp_path, min_confidence=10, progress=False)) == 7
    write(
        tmp_path / "label/label.lst", "a.jpg 0 10 20 120 140 50.5 3\na.jpg 1 120 20 10 140 50.5 3\n"
    )
    with pytest.raises(BrokenFileError, match=r"label\.lst:2: a box must be top left right bottom"):
        read_expw(tmp_path, progress=False)


# --- BP4D ---


def test_read_bp4d(tmp_path):
    codes = tmp_path / "AUCoding/AU_OCC"
    write(codes / "F001_T1.csv", "0,1,2,5,12,14\n7,1,0,1,9,0\n8,0,9,0,1,1\n9,9,9,0,9,1\n")
    write(codes / "M002_T8.csv", "0,6\n1,1\n2,0\n")
    write(tmp_path / "AUCoding/AU_INT/AU12/F001_T1_AU12.csv", "7,9\n8,3\n")
    write(tmp_path / "AUCoding/AU_INT/AU14/F001_T1_AU14.csv", "7,1\n")
    images(tmp_path / "2D+3D/F001/T1", "0007.jpg", "0008.jpg", "0009.jpg")
    images(tmp_path / "2D+3D/M002/T8", "0000.jpg", "0001.jpg")  # counts from 0
    table = read_bp4d(tmp_path, progress=False)
    assert table.groups == ("F001", "M002")
    assert [units(table, k) for k in range(3)] == [{"AU1": 1, "AU2": 0}, {"AU1": 0, "AU12": 1}, {}]
    assert [units(table, k) for k in (3, 4)] == [{"AU6": 1}, {"AU6": 0}]
    assert [table.path_of(k).name for k in range(5)] == [
        "0007.jpg",
        "0008.jpg",
        "0009.jpg",
        "0000.jpg",
        "0001.jpg",
    ]
    column = AU_NAMES.index("AU12")
    assert table.au_intensity[1, column] == 3
    assert np.isnan(table.au_intensity[0, column])
    assert table.rows("AU").tolist() == [0, 1, 3, 4]
    assert table.report.skipped["frame without a code of the twelve AUs"].count == 1


def test_read_bp4d_with_images_from_one_keeps_numbers(tmp_path):
    write(tmp_path / "AUCoding/F001_T1.csv", "0,1\n1,1\n2,0\n")
    images(tmp_path / "Sequences(2D+3D)/F001/T1", "001.jpg", "002.jpg")
    assert read_bp4d(tmp_path, progress=False).path.to_pylist() == [
        "Sequences(2D+3D)/F001/T1/001.jpg",
        "Sequences(2D+3D)/F001/T1/002.jpg",
    ]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("0,1\n1,2\n", 2, "0, 1 or 9"),
        ("0,1\n1,1\n1,0\n", 3, "frame 1 appears a second time"),
        ("0,1\n1\n", 2, "expected 2 fields"),
        ("frame,AU1\n1,1\n", 1, "header of AU numbers"),
    ],
)
def test_read_bp4d_with_broken_line_names_it(tmp_path, text, line, problem):
    path = write(tmp_path / "AUCoding/AU_OCC/F001_T1.csv", text)
    with pytest.raises(BrokenFileError, match=problem) as raised:
        read_bp4d(tmp_path, progress=False)
    assert (raised.value.path, raised.value.line) == (path, line)


# --- DISFA ---

DISFA_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def disfa(root, intensity: dict[int, list[int]]) -> None:
    for unit in DISFA_UNITS:
        values = intensity.get(unit, [0, 0, 0])
        text = "\r\n".join(f"{k},{v}" for k, v in enumerate(values, 1))
        write(root / f"ActionUnit_Labels/SN001/SN001_au{unit}.txt", text)


def test_read_disfa(tmp_path):
    disfa(tmp_path, {12: [0, 1, 5], 25: [2, 0, 0], 5: [5, 5, 5]})
    images(tmp_path / "frames/left/SN001", "00001.png", "00003.png")
    table = read_disfa(tmp_path, progress=False)
    ours = {"AU1", "AU2", "AU4", "AU6", "AU12", "AU15", "AU25", "AU26"}
    assert [set(units(table, k)) for k in range(3)] == [ours] * 3
    assert [units(table, k)["AU12"] for k in range(3)] == [0, 0, 1]  # an intensity of 1 is a trace
    assert [units(table, k)["AU25"] for k in range(3)] == [1, 0, 0]
    assert table.au_intensity[:, AU_NAMES.index("AU12")].tolist() == [0, 1, 5]
    assert table.has_crop.tolist() == [True, False, True]
    traces = read_disfa(tmp_path, present_from=1, progress=False)
    assert [units(traces, k)["AU12"] for k in range(3)] == [0, 1, 1]


def test_read_disfa_with_broken_file_names_it(tmp_path):
    disfa(tmp_path, {12: [0, 1]})
    with pytest.raises(
        BrokenFileError,
        match=r"SN001_au12\.txt: has 2 frames, but SN001_au1\.txt and others have 3",
    ):
        read_disfa(tmp_path, progress=False)
    disfa(tmp_path, {12: [0, 1, 6]})
    with pytest.raises(
        BrokenFileError,
        match=r"SN001_au12\.txt:3: the intensity must be a number from 0 to 5, got '6'",
    ):
        read_disfa(tmp_path, progress=False)


# --- DFEW ---


def test_read_dfew(tmp_path):
    split = tmp_path / "EmoLabel_DataSplit"
    write(
        split / "train(single-labeled)/set_2.csv",
        "video_name,label\n" + "\n".join(f"{k},{k}" for k in range(1, 8)),
    )
    write(split / "test(single-labeled)/set_2.csv", "video_name,label\n12,3\n13,1\n")
    for clip in (*range(1, 8), 12):
        images(tmp_path / f"Clip/clip_224x224/{clip:05d}", "00001.jpg", "00002.jpg", ".DS_Store")
    table = read_dfew(tmp_path, fold=2, progress=False)
    names = ["happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"]
    assert expressions(table) == {f"{k:05d}": name for k, name in enumerate(names, 1)} | {
        "00012": "neutral"
    }
    assert len(table.rows("EXPR", "train")) == 14
    assert table.frame[table.rows("EXPR", "validation")].tolist() == [1, 2]
    assert table.report.skipped["clip without images"].examples == ["00013"]
    write(split / "test(single-labeled)/set_2.csv", "video_name,label\n12,3\n3,1\n")
    with pytest.raises(BrokenFileError, match=r"set_2\.csv:3: clip 00003 is listed a second time"):
        read_dfew(tmp_path, fold=2, progress=False)
    with pytest.raises(ValueError, match="fold must be 1 to 5"):
        read_dfew(tmp_path, fold=6)


# --- AFEW-VA ---


def afew_clip(valence: object = -3, points: int = 68) -> str:
    frames = {
        f"{k:05d}": {"landmarks": [[k, k + 1]] * points, "valence": valence, "arousal": 7.0}
        for k in range(2)
    }
    return json.dumps({"video_id": "001", "actor": "A. Actor", "frames": frames})


def test_read_afew_va(tmp_path):
    write(tmp_path / "01/001/001.json", afew_clip())
    write(tmp_path / "12/600/600.json", afew_clip(10))
    images(tmp_path / "01/001", "00000.png", "00001.png")
    images(tmp_path / "12/600", "00001.png")
    table = read_afew_va(tmp_path, progress=False)
    assert table.videos == ("001", "600")
    assert set(table.groups) == {"actor A. Actor"}  # one person in both clips
    assert table.va == pytest.approx(np.array([[-0.3, 0.7]] * 2 + [[1, 0.7]] * 2))
    assert table.has_crop.tolist() == [True, True, False, True]
    assert table.landmarks_xy[1, 0].tolist() == [1, 2]
    for text, problem in (
        (afew_clip("high"), "frame 00000: valence must be a number"),
        (afew_clip(11), "from -10 to 10"),
        (afew_clip(points=5), "expected 68 landmarks"),
        ('{"frames": {\n"00000": }}', r"001\.json:2: not JSON"),
        ("[]", "expected an object"),
    ):
        write(tmp_path / "01/001/001.json", text)
        with pytest.raises(BrokenFileError, match=problem):
            read_afew_va(tmp_path, progress=False)


# --- All readers ---


def test_load_cached_reuses_table_until_folder_changes(affectnet, tmp_path):
    cache = tmp_path / "cache"
    first = load_cached("affectnet", affectnet, cache=cache, progress=False)
    assert first.cache_path is not None
    stamp = first.cache_path.stat().st_mtime_ns
    again = load_cached("affectnet", affectnet, cache=cache, progress=False)
    assert (again.cache_path, again.cache_path.stat().st_mtime_ns) == (first.cache_path, stamp)
    assert expressions(again) == expressions(first)
    np.testing.assert_array_equal(again.landmarks_xy, first.landmarks_xy)
    images(affectnet / "Manually_Annotated_Images", "1/gone.jpg")
    assert len(load_cached("affectnet", affectnet, cache=cache, progress=False)) == len(first) + 1
    with pytest.raises(ValueError, match="expected one of"):
        load_cached("unheard of", affectnet, cache=cache)


@pytest.mark.parametrize(
    "read", [read_affectnet, read_expw, read_bp4d, read_disfa, read_dfew, read_afew_va]
)
def test_reader_of_empty_folder_names_expected_files(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}"):
        read(tmp_path, progress=False)
