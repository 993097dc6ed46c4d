"""The examples of the Python front door, each run as a program on the demo clip."""

from __future__ import annotations

import csv
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import faceaffect as fa

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DEMO = ROOT / "assets" / "demo.mp4"
REQUIRES = ("pandas",)


@pytest.fixture(scope="module")
def result(trained: None) -> fa.Result:
    return fa.analyze(DEMO)


def run(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_table_lists_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[([\w.]+)\]", text, re.M)
    assert sorted(listed) == sorted(
        path.name for end in ("py", "ipynb") for path in EXAMPLES.glob(f"*.{end}")
    )


def test_image_prints_the_face_and_draws_it(tmp_path: Path, result: fa.Result) -> None:
    capture = cv2.VideoCapture(str(DEMO))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 55)
    image = capture.read()[1]
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), image)
    printed = run("image.py", path)
    assert "face.png: 1 face(s)" in printed
    assert "happiness" in printed
    drawn = cv2.imread(str(tmp_path / "face_faces.png"))
    assert drawn is not None
    assert 0.005 < (drawn[:, : image.shape[1]] != image).any(axis=2).mean() < 0.2


def test_video_to_csv_writes_all_rows(tmp_path: Path, result: fa.Result) -> None:
    printed = run("video_to_csv.py", DEMO, tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert len(rows) == len(result.faces)
    assert "180/180 frames" in printed
    assert "AU1 " in printed


def test_webcam_prints_each_frame(result: fa.Result) -> None:
    lines = run("webcam.py", DEMO).splitlines()
    assert len(lines) == len(result)
    assert sum("happiness" in line for line in lines) == sum(
        view.faces[0].expression == "happiness" for view in result
    )


def test_data_frame_prints_statistics(result: fa.Result) -> None:
    printed = run("data_frame.py", DEMO)
    au = [result.affect.au_active[:, fa.AU_NAMES.index(name)] for name in ("AU6", "AU12")]
    share = (au[0] & au[1]).mean()
    assert re.search(rf"^1 +{share:.2f}$", printed, re.M)
    assert "AU12_on" in printed
    assert "AU7_on" not in printed, "an AU that never changes has no correlation"


@pytest.mark.parametrize(("region", "expected"), [("0 0 640 360", 180), ("0 0 100 100", 0)])
def test_custom_detector_finds_faces_in_its_region_only(
    region: str, expected: int, trained: None
) -> None:
    printed = run("custom_detector.py", DEMO, *region.split())
    assert printed == f"{expected} of 180 frames have a face in the region\n"


def test_custom_sink_fills_a_database(tmp_path: Path, result: fa.Result) -> None:
    printed = run("custom_sink.py", DEMO, tmp_path / "rows.db")
    with sqlite3.connect(tmp_path / "rows.db") as database:
        rows = database.execute("SELECT frame, AU12_on FROM rows ORDER BY frame").fetchall()
    active = result.affect.au_active[:, fa.AU_NAMES.index("AU12")].astype(int).tolist()
    assert rows == list(enumerate(active))
    assert "happiness: " in printed
