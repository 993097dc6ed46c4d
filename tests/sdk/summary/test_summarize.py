"""Summaries of rows whose bouts are known."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from faceaffect.cli.command_line import faceaffect as command
from faceaffect.report.read_rows import ReportError
from faceaffect.summary.participants import Participants
from faceaffect.summary.statistics import MEASURES
from faceaffect.summary.summarize import summarize_files, summarize_groups
from tests.sdk.summary.synthetic_faces import write_clip


def test_bouts_shares_and_time_are_measured(tmp_path: Path) -> None:
    bouts = {"AU12": [(10, 19), (50, 54)], "AU6": [(90, 99)]}
    rows = write_clip(tmp_path / "rows.csv", "a.mp4", 100, bouts)
    (row,) = summarize_files([rows], None, [])
    assert (row["source"], row["person"], row["tracks"], row["frames"]) == (
        "a.mp4",
        "face 1",
        1,
        100,
    )
    assert row["covered_s"] == pytest.approx(4.0, abs=1e-4)
    assert row["AU12_share"] == pytest.approx(0.15, abs=1e-4)
    assert row["AU12_bouts"] == 2
    assert row["AU12_bouts_per_min"] == pytest.approx(30, abs=1e-3)
    assert row["AU12_bout_mean_s"] == pytest.approx(0.3, abs=1e-4)
    assert row["AU12_bout_max_s"] == pytest.approx(0.4, abs=1e-4)
    assert row["AU6_bout_mean_s"] == pytest.approx(0.4, abs=1e-4)
    assert (row["AU1_share"], row["AU1_bouts"], row["AU1_bout_mean_s"]) == (0, 0, None)
    assert (row["valence_mean"], row["valence_sd"]) == pytest.approx((0, 0.5), abs=1e-4)
    assert (row["arousal_mean"], row["arousal_sd"]) == pytest.approx((0.25, 0), abs=1e-4)
    assert row["happiness_share"] == pytest.approx(0.15, abs=1e-4)
    assert (row["neutral_share"], row["expression"]) == (pytest.approx(0.85, abs=1e-4), "neutral")
    assert set(MEASURES) < set(row)


def test_time_without_a_face_is_not_covered_and_ends_bouts(tmp_path: Path) -> None:
    rows = write_clip(
        tmp_path / "rows.csv", "a.mp4", 100, {"AU12": [(0, 99)]}, missing=range(30, 70)
    )
    (row,) = summarize_files([rows], None, [])
    assert row["covered_s"] == pytest.approx(60 / 25, abs=1e-3)
    assert row["AU12_share"] == pytest.approx(1)
    assert (row["AU12_bouts"], row["AU12_bout_max_s"]) == (2, pytest.approx(30 / 25, abs=1e-3))


def test_short_gaps_do_not_end_bouts(tmp_path: Path) -> None:
    rows = write_clip(tmp_path / "rows.csv", "a.mp4", 100, {"AU12": [(0, 99)]}, missing=[40, 41])
    (row,) = summarize_files([rows], None, [])
    assert (row["AU12_bouts"], row["covered_s"]) == (1, pytest.approx(4, abs=1e-3))


def test_frames_weigh_as_long_as_they_last(tmp_path: Path) -> None:
    """A clip of 10 fps whose second half lost every other frame."""
    rows = write_clip(
        tmp_path / "rows.csv", "a.mp4", 40, {"AU12": [(0, 19)]}, fps=10, missing=range(21, 40, 2)
    )
    (row,) = summarize_files([rows], None, [])
    assert row["frames"] == 30
    assert row["AU12_share"] == pytest.approx(20 / 39, abs=0.01), "by rows it would be 20 / 30"


def test_participants_join_tracks_and_groups_average_persons(tmp_path: Path) -> None:
    one = write_clip(tmp_path / "one.csv", "in/anna.mp4", 100, {"AU12": [(0, 49)]})
    two = write_clip(tmp_path / "two.csv", "in/bob.mp4", 100, {"AU12": [(0, 19)]}, track_id=7)
    more = write_clip(tmp_path / "more.csv", "in/cleo.mp4", 100, {}, track_id=2)
    table = tmp_path / "people.csv"
    table.write_text(
        "source,person,track_id,group\nanna,A,,patients\nin/bob.mp4,B,7,patients\n"
        "cleo.mp4,C,2,controls\ncleo.mp4,D,3,controls\n"
    )
    notes: list[str] = []
    rows = summarize_files([one, two, more], Participants(table), notes)
    assert [(row["person"], row["group"]) for row in rows] == [
        ("A", "patients"),
        ("B", "patients"),
        ("C", "controls"),
    ]
    assert notes == []
    patients, controls = summarize_groups(rows)
    assert (patients["persons"], patients["AU12_share"]) == (2, pytest.approx(0.35, abs=1e-4))
    assert (controls["persons"], controls["AU12_share"]) == (1, 0)
    table.write_text("source,person\nanna,A\n")
    summarize_files([one, two], Participants(table), notes)
    assert notes == [f"{two}: left out, not in the table of participants: face 7 of in/bob.mp4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table with the columns source, person"),
        ("source,name\na,b\n", "got source, name"),
        ("source,person\n,b\n", "line 2: expected a source"),
        ("source,person,track_id\na,b,x\n", "'x'; correct the line"),
        ("source,person\na,b\na,c\n", "line 3: expected each source and track id once"),
    ],
)
def test_odd_tables_of_participants_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(ReportError, match=message):
        Participants(path)


def test_unrelated_images_are_one_row(tmp_path: Path) -> None:
    from faceaffect.sinks import open_sink
    from tests.sdk.sinks.synthetic_results import synthetic_result

    with open_sink(tmp_path / "rows.csv") as sink:
        for index in range(4):
            name = f"photos/{index}.jpg"
            frame, faces, affect = synthetic_result(index, source=name)
            faces.track_id[:] = index
            sink.write(frame, faces, affect)
    (row,) = summarize_files([tmp_path / "rows.csv"], None, [])
    assert (row["source"], row["person"], row["frames"]) == ("photos/*", "all faces", 4)
    assert (row["covered_s"], row["AU1_bouts"]) == (None, None)
    active = [synthetic_result(index)[2].au_active[0, 0] for index in range(4)]
    assert row["AU1_share"] == sum(active) / 4


def test_command_prints_a_table_and_writes_every_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_clip(tmp_path / "rows.csv", "a.mp4", 100, {"AU12": [(10, 19), (50, 54)]})
    out = tmp_path / "summary.csv"
    command(["summarize", str(rows), "--out", str(out)], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "AU12 15% (2)" in printed
    assert "4.0 s" in printed
    (row,) = list(csv.DictReader(out.open()))
    assert (row["AU12_bouts"], row["AU12_share"], row["AU1_bout_mean_s"]) == ("2", "0.15", "")
    with pytest.raises(Exception, match="exists already"):
        command(["summarize", str(rows), "--out", str(out)], standalone_mode=False)
