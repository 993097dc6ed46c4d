from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from faceaffect.sinks import COLUMN_NAMES, OverwritePolicy, SinkError, SinkOptions, open_sink
from faceaffect.sinks.parquet_sink import csv_to_parquet, journal_path
from tests.sdk.sinks.conftest import synthetic_result
from tests.sdk.sinks.test_rows import expected, interrupt, write

RESUME = SinkOptions(OverwritePolicy.RESUME)


def test_same_rows_as_csv_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    odd = 'a "b", c\nü.mp4'
    for name in ("rows.parquet", "rows.csv"):
        with open_sink(tmp_path / name) as sink:
            for index in range(9):
                frame, faces, affect = synthetic_result(index, index % 3, odd)
                faces.quality[:] = float("nan")
                affect.au_active[:] &= index > 5
                sink.write(frame, faces, affect)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rows.csv", "rows.parquet"]
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert tuple(table.column_names) == COLUMN_NAMES
    kinds = {
        name: str(table.schema.field(name).type)
        for name in ("frame", "time_s", "AU1", "active_aus", "source")
    }
    assert kinds == {
        "frame": "int64",
        "time_s": "double",
        "AU1": "double",
        "active_aus": "string",
        "source": "string",
    }
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    as_text = [
        {k: "" if v is None else str(v) for k, v in row.items()} for row in table.to_pylist()
    ]
    assert as_text == rows
    assert table["active_aus"].null_count == 0
    assert table["quality"].null_count == len(rows)


def test_no_face_at_all_is_an_empty_table(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_sink(tmp_path / "rows.parquet") as sink:
        sink.write(*synthetic_result(0, 0))
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert (table.num_rows, tuple(table.column_names)) == (0, COLUMN_NAMES)


def test_interrupted_run_is_readable_and_goes_on(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    interrupt(path, range(8))
    assert parquet.read_table(path)["frame"].to_pylist() == expected(range(8))
    with open_sink(path, RESUME) as sink:
        write(sink, range(sink.begin("clip.mp4").next_frame, 20))
        sink.end("clip.mp4")
    assert parquet.read_table(path)["frame"].to_pylist() == expected(range(20))
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.parquet"]


def test_journal_of_a_killed_run_is_valid(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    write(open_sink(path), range(5))
    assert not path.exists()
    csv_to_parquet(journal_path(path), path)
    assert parquet.read_table(path)["frame"].to_pylist() == expected(range(5))


def test_missing_pyarrow_is_found_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SinkError, match=r'pip install "faceaffect\[parquet\]"'):
        open_sink(tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []
