from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect.report import read_rows as read_rows_module
from faceaffect.report.read_rows import COLUMN_INDEX, ReportError, read_rows
from faceaffect.report.timeline import MAX_BINS, read_timelines
from faceaffect.report.track_stats import collect_stats
from tests.sdk.report.synthetic_rows import one_face, write_rows

V = COLUMN_INDEX["valence"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    written = write_rows(tmp_path / "a.csv", one_face('odd, "name".mp4', 3.0))
    other = write_rows(tmp_path / f"b.{ending}", one_face('odd, "name".mp4', 3.0))
    (first,), (second,) = (list(read_rows(path, [])) for path in (written, other))
    assert first.source == second.source == ['odd, "name".mp4'] * 75
    assert (first.numbers == second.numbers).all()
    assert (first.au_active == second.au_active).all()
    assert first.au_active.sum() == 25
    assert (first.time_s == np.arange(75) / 25).all()


def test_means_and_counts_are_those_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_rows_module, "CHUNK_ROWS", 97)
    frames = [("a.mp4", i, i / 25, [1] if i < 900 else [1, 7]) for i in range(1000)]
    (source,) = collect_stats([write_rows(tmp_path / "a.csv", frames)], [])
    assert (source.rows, source.frames, sorted(source.tracks)) == (1100, 1000, [1, 7])
    times = np.arange(1000) / 25
    assert source.tracks[1].mean("valence") == pytest.approx(
        np.sin(times * 2 * np.pi / 10).mean(), abs=1e-4
    )
    assert source.tracks[1].au_counts.tolist() == [0] * 6 + [500] + [0] * 5
    assert source.tracks[7].expression_counts.tolist() == [50, 0, 0, 0, 50, 0, 0]
    assert (source.tracks[7].first_s, source.tracks[7].last_s) == (36.0, 39.96)
    assert source.tracks[1].best.frame == 25, "the row of the highest quality"


def test_ids_of_two_files_are_two_people(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / f"{name}.csv", one_face("clip.mp4", 1.0)) for name in ("a", "b")]
    assert [source.rows for source in collect_stats(files, [])] == [25, 25]


def test_images_of_a_folder_stand_together(tmp_path: Path) -> None:
    frames = [(f"photos/{i}.jpg", i, 0.0, [2 * i, 2 * i + 1]) for i in range(5)]
    (apart,) = collect_stats([write_rows(tmp_path / "a.csv", frames)], [])
    assert (apart.frames, len(apart.tracks), apart.is_sequence) == (5, 10, False)
    (one,) = collect_stats(
        [write_rows(tmp_path / "b.csv", [(f"crops/{i}.jpg", i, i / 30, [1]) for i in range(5)])], []
    )
    assert one.is_sequence


def test_a_short_track_keeps_every_row_and_a_long_one_its_range(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "a.csv",
        [*one_face("s.mp4", 4.0, track_id=3), *one_face("l.mp4", 80.0, track_id=4)],
    )
    tracks = [track for source in collect_stats([path], []) for track in source.tracks.values()]
    lines = read_timelines([path], tracks)
    short, long = (lines[track.key] for track in tracks)
    assert (len(short.time_s), short.is_binned) == (100, False)
    wave = np.sin(np.arange(100) / 25 * 2 * np.pi / 10)
    assert short.mean[:, V] == pytest.approx(wave, abs=1e-4)
    assert (len(long.time_s), long.is_binned, int(long.count.sum())) == (MAX_BINS, True, 2000)
    times = np.arange(2000) / 25
    place = np.minimum((times / times[-1] * MAX_BINS).astype(int), MAX_BINS - 1)
    values = np.sin(times * 2 * np.pi / 10)
    for step in (0, 7, 399):
        own = values[place == step]
        found = (long.minimum[step, V], long.mean[step, V], long.maximum[step, V])
        assert found == pytest.approx((own.min(), own.mean(), own.max()), abs=1e-4)
    assert long.au_active[:, 6].max() == 1.0
    assert long.expression_s.sum() == pytest.approx(80.0, abs=0.1)
    assert long.expression_s[4] == pytest.approx(40.0, abs=0.1)


def test_time_away_is_no_time_of_an_expression(tmp_path: Path) -> None:
    frames = [*one_face("a.mp4", 2.0), *(("a.mp4", 250 + i, 10 + i / 25, [1]) for i in range(50))]
    (source,) = collect_stats([write_rows(tmp_path / "a.csv", frames)], [])
    line = read_timelines([tmp_path / "a.csv"], [source.tracks[1]])[source.tracks[1].key]
    assert line.expression_s.sum() == pytest.approx(4.0, abs=0.5)


def test_what_a_model_does_not_read_is_unknown(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "a.csv", one_face("a.mp4", 1.0), has_aus=False, has_expression=False
    )
    (source,) = collect_stats([path], [])
    assert np.isnan(source.tracks[1].mean("AU1"))
    assert source.tracks[1].expression_counts.sum() == 0
    assert np.isfinite(source.tracks[1].mean("valence"))


def test_half_a_row_at_the_end_is_left_out_with_a_note(tmp_path: Path) -> None:
    for ending in ("csv", "jsonl"):
        path, notes = write_rows(tmp_path / f"a.{ending}", one_face("a.mp4", 1.0)), list[str]()
        path.write_text(path.read_text()[:-150])
        (source,) = collect_stats([path], notes)
        assert source.rows == 24
        assert len(notes) == 1
        assert "half a row" in notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "were wanted"),
        ("a.csv", "", "columns of `faceaffect analyze` were wanted"),
        (
            "a.csv",
            "source,frame\na,1\n",
            "time_s, track_id, box_x1, box_y1, box_x2 and more are missing",
        ),
        ("a.csv", None, "line 3: this is no row"),
        ("a.jsonl", "[1]\n{}\n", "line 1: a JSON object was wanted"),
        ("a.jsonl", '{"source": 1}\n', "are missing"),
        ("a.parquet", "PAR1 not", "a Parquet file was wanted"),
        ("none.csv", "", "cannot be read"),
    ],
)
def test_files_that_are_no_rows_are_told_with_their_line(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    path = tmp_path / name
    if text is None:
        lines = write_rows(path, one_face("a.mp4", 1.0)).read_text().splitlines(keepends=True)
        path.write_text("".join([*lines[:2], lines[2].replace("0.04,1,", "0.04,one,"), *lines[3:]]))
    elif name != "none.csv":
        path.write_text(text)
    with pytest.raises(ReportError, match=message):
        collect_stats([path], [])
