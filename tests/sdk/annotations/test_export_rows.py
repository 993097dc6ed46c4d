"""Exports, read back by the programs and packages that read these formats."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import parselmouth
import pympi
import pytest

from faceaffect.annotations.openface import OPENFACE_COLUMNS
from faceaffect.annotations.praat import with_gaps
from faceaffect.annotations.tracks import Interval
from faceaffect.cli.command_line import faceaffect as command
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import ReportError
from tests.sdk.summary.synthetic_faces import write_clip

BOUTS = {"AU12": [(10, 19), (50, 54)], "AU6": [(12, 99)]}
EXPECTED = {
    "AU12": [(0.4, 0.8), (2.0, 2.2)],
    "AU6": [(0.48, 4.0)],
}
EXPRESSIONS = [
    (0.0, 0.4, "neutral"),
    (0.4, 0.8, "happiness"),
    (0.8, 2.0, "neutral"),
    (2.0, 2.2, "happiness"),
    (2.2, 4.0, "neutral"),
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "rows.csv", 'a "b" <c>.mp4', 100, BOUTS)


def export(rows: Path, to: str, out: Path, *more: str) -> Path:
    command(["export", str(rows), "--to", to, "--out", str(out), *more], standalone_mode=False)
    return out


def test_elan_document_is_read_by_pympi(rows: Path, tmp_path: Path) -> None:
    path = export(rows, "elan", tmp_path / "a.eaf")
    document = pympi.Elan.Eaf(str(path))
    assert set(document.get_tier_names()) == {
        *(f"face 1 {name}" for name in AU_NAMES),
        "face 1 expression",
    }
    for name in AU_NAMES:
        spans = document.get_annotation_data_for_tier(f"face 1 {name}")
        expected = [(round(1000 * a), round(1000 * b), name) for a, b in EXPECTED.get(name, [])]
        assert sorted(spans) == expected
    got = sorted(document.get_annotation_data_for_tier("face 1 expression"))
    assert got == [(round(1000 * a), round(1000 * b), name) for a, b, name in EXPRESSIONS]
    (media,) = document.get_linked_files()
    assert media["RELATIVE_MEDIA_URL"] == './a "b" <c>.mp4'


def test_elan_time_slots_are_ordered_and_used_once(rows: Path, tmp_path: Path) -> None:
    from xml.etree import ElementTree

    root = ElementTree.parse(export(rows, "elan", tmp_path / "a.eaf")).getroot()
    assert root is not None
    order = [int(one.get("TIME_VALUE", "")) for one in root.iter("TIME_SLOT")]
    assert order == sorted(order)
    used = [
        one.get(f"TIME_SLOT_REF{end}")
        for one in root.iter("ALIGNABLE_ANNOTATION")
        for end in (1, 2)
    ]
    assert sorted(map(str, used)) == sorted(
        str(one.get("TIME_SLOT_ID")) for one in root.iter("TIME_SLOT")
    )
    ids = [one.get("ANNOTATION_ID") for one in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(ids) == len(set(ids))
    assert [child.tag for child in root][:2] == ["HEADER", "TIME_ORDER"]
    assert [child.tag for child in root][-1] == "LINGUISTIC_TYPE"


def test_text_grid_is_read_by_praat(rows: Path, tmp_path: Path) -> None:
    grid = parselmouth.read(str(export(rows, "praat", tmp_path / "a.TextGrid")))
    call = parselmouth.praat.call
    assert call(grid, "Get number of tiers") == 13
    assert call(grid, "Get end time") == pytest.approx(4.0, abs=1e-5)
    for number in range(1, 14):
        name = call(grid, "Get tier name", number).removeprefix("face 1 ")
        count = call(grid, "Get number of intervals", number)
        spans = [
            (
                call(grid, "Get start time of interval", number, k),
                call(grid, "Get end time of interval", number, k),
                call(grid, "Get label of interval", number, k),
            )
            for k in range(1, count + 1)
        ]
        labeled = [one for one in spans if one[2]]
        expected = EXPRESSIONS
        if name != "expression":
            expected = [(a, b, name) for a, b in EXPECTED.get(name, [])]
        assert [one[2] for one in labeled] == [one[2] for one in expected]
        np.testing.assert_allclose(
            [one[:2] for one in labeled], [one[:2] for one in expected], atol=1e-5
        )


def test_gaps_of_a_text_grid_are_filled() -> None:
    one, two = Interval(1.0, 2.0, "x"), Interval(2.0, 3.0, "y")
    assert with_gaps([one, two], 4.0) == [(0.0, 1.0, ""), one, two, (3.0, 4.0, "")]
    assert with_gaps([], 4.0) == [(0.0, 4.0, "")]
    assert with_gaps([Interval(0.0, 4.0, "x")], 4.0) == [(0.0, 4.0, "x")]


def paired_states(events: list[list[Any]]) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Pair state events as BORIS does: the first of a subject and code starts, the next stops."""
    open_s: dict[tuple[str, str], float] = {}
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for time_s, subject, code, modifier, comment in events:
        assert (modifier, comment) == ("", "")
        if (subject, code) in open_s:
            pairs.setdefault((subject, code), []).append((open_s.pop((subject, code)), time_s))
        else:
            open_s[subject, code] = time_s
    assert open_s == {}, "state events that are not paired"
    return pairs


def test_boris_project_has_paired_events_and_defines_what_it_uses(
    rows: Path, tmp_path: Path
) -> None:
    project = json.loads(export(rows, "boris", tmp_path / "a.boris").read_text())
    assert project["project_format_version"] == "7.0"
    behaviors = {one["code"]: one for one in project["behaviors_conf"].values()}
    assert list(behaviors) == [*AU_NAMES, *EXPRESSION_NAMES]
    assert {one["type"] for one in behaviors.values()} == {"State event"}
    assert {one["category"] for one in behaviors.values()} == set(project["behavioral_categories"])
    assert [one["name"] for one in project["subjects_conf"].values()] == ["face 1"]
    ((name, observation),) = project["observations"].items()
    assert name == 'a "b" <c>'
    assert observation["type"] == "MEDIA"
    (media,) = observation["file"]["1"]
    assert observation["media_info"]["length"][media] == pytest.approx(4.0, abs=1e-5)
    assert observation["media_info"]["fps"][media] == pytest.approx(25, abs=0.01)
    times = [event[0] for event in observation["events"]]
    assert times == sorted(times)
    pairs = paired_states(observation["events"])
    for au, spans in EXPECTED.items():
        assert pairs["face 1", au] == spans
    assert pairs["face 1", "happiness"] == EXPECTED["AU12"]
    assert set(pairs) <= {("face 1", code) for code in behaviors}


def test_openface_columns_have_its_names_units_and_signs(rows: Path, tmp_path: Path) -> None:
    path = export(rows, "openface", tmp_path / "a.csv")
    with path.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert tuple(table[0]) == OPENFACE_COLUMNS
    assert list(table[0])[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert [int(row["frame"]) for row in table] == list(range(1, 101))
    assert Counter(row["AU12_c"] for row in table) == {"1": 15, "0": 85}
    assert table[10]["AU12_p"] == "0.9"
    # Yaw 10 (to the right of the image), pitch 20 (up), roll 30 (clockwise).
    forward = rotation(*(float(table[0][name]) for name in ("pose_Rx", "pose_Ry", "pose_Rz")))
    nose = forward @ [0, 0, -1]
    assert nose[0] > 0.1, "to the right of the image"
    assert nose[1] < -0.3, "up"
    right = forward @ [1, 0, 0]
    assert right[1] > 0.4, "clockwise: what is to the right goes down"


def rotation(rx: float, ry: float, rz: float) -> np.ndarray:
    """OpenFace's matrix of Euler angles: x to the right, y down, z away from the camera."""
    (sx, cx), (sy, cy), (sz, cz) = ((np.sin(a), np.cos(a)) for a in (rx, ry, rz))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z)


def test_several_sources_need_a_folder_except_for_boris(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_clip(tmp_path / "other.csv", "x/b.mp4", 50, {})
    same = write_clip(tmp_path / "same.csv", "y/b.mp4", 50, {})
    files = [str(rows), str(other), str(same)]
    with pytest.raises(ReportError, match="expected a folder for the 3 sources"):
        command(
            ["export", *files, "--to", "elan", "--out", str(tmp_path / "a.eaf")],
            standalone_mode=False,
        )
    out = tmp_path / "grids"
    command(["export", *files, "--to", "praat", "--out", str(out)], standalone_mode=False)
    names = sorted(path.name for path in out.iterdir())
    assert names == ['a "b" <c>.TextGrid', "b.TextGrid", "b_2.TextGrid"]
    project = tmp_path / "all.boris"
    command(["export", *files, "--to", "boris", "--out", str(project)], standalone_mode=False)
    assert list(json.loads(project.read_text())["observations"]) == [
        'a "b" <c>',
        "x/b.mp4",
        "y/b.mp4",
    ]
    with pytest.raises(ReportError, match="exists already"):
        command(["export", *files, "--to", "boris", "--out", str(project)], standalone_mode=False)
