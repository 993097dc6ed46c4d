from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from faceaffect.report.read_rows import ReportError, read_rows
from faceaffect.report.track_stats import collect_stats
from tests.sdk.report.synthetic_rows import one_face, write_rows


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_read_rows_of_every_format_is_equal(tmp_path: Path, ending: str) -> None:
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


def test_read_rows_with_incomplete_last_row_skips_it_with_note(tmp_path: Path) -> None:
    for ending in ("csv", "jsonl"):
        path, notes = write_rows(tmp_path / f"a.{ending}", one_face("a.mp4", 1.0)), list[str]()
        path.write_text(path.read_text()[:-150])
        (source,) = collect_stats([path], notes)
        assert source.rows == 24
        assert len(notes) == 1
        assert "incomplete last row" in notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "expected rows written by `faceaffect analyze`"),
        ("a.csv", "", "expected the columns written by `faceaffect analyze`"),
        (
            "a.csv",
            "source,frame\na,1\n",
            "time_s, track_id, box_x1, box_y1, box_x2 and more are missing",
        ),
        ("a.csv", None, "line 3: not a row"),
        ("a.jsonl", "[1]\n{}\n", "line 1: expected a JSON object"),
        ("a.jsonl", '{"source": 1}\n', "are missing"),
        ("a.parquet", "PAR1 not", "expected a Parquet file"),
        ("none.csv", "", "cannot be read"),
    ],
)
def test_read_rows_of_invalid_file_names_line(
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


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_line_without_end_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as stream:
        stream.write(b"x")
        stream.truncate(1 << 33)  # a sparse file of 8 GiB
    tracemalloc.start()
    with pytest.raises(ReportError, match="expected lines of less than 1048576 characters"):
        list(read_rows(path, []))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 50 << 20
