"""Parquet files, and the journal that they are made of."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pytest

from faceaffect.sinks import COLUMN_NAMES, OverwritePolicy, SinkError, SinkOptions, open_sink
from faceaffect.sinks.parquet_sink import csv_to_parquet, journal_path
from faceaffect.system.install_command import install_command
from tests.sdk.sinks.synthetic_results import (
    frame_column,
    interrupt_run,
    synthetic_result,
    write_frames,
)

RESUME = SinkOptions(OverwritePolicy.RESUME)


def test_parquet_sink_stores_rows_of_csv_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source_name = 'a "b", c\nü.mp4'
    for name in ("rows.parquet", "rows.csv"):
        with open_sink(tmp_path / name) as sink:
            for index in range(9):
                frame, faces, affect = synthetic_result(index, index % 3, source_name)
                faces.quality[:] = float("nan")
                affect.au_active[:] &= index > 5
                sink.write(frame, faces, affect)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rows.csv", "rows.parquet"]
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert tuple(table.column_names) == COLUMN_NAMES
    types = {
        name: str(table.schema.field(name).type)
        for name in ("frame", "time_s", "AU1", "AU1_on", "source")
    }
    assert types == {
        "frame": "int64",
        "time_s": "double",
        "AU1": "double",
        "AU1_on": "int64",
        "source": "string",
    }
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    as_text = [
        {k: "" if v is None else str(v) for k, v in row.items()} for row in table.to_pylist()
    ]
    assert as_text == rows
    assert table["AU1_on"].null_count == 0
    assert table["quality"].null_count == len(rows)


def test_parquet_sink_without_faces_writes_empty_table(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_sink(tmp_path / "rows.parquet") as sink:
        sink.write(*synthetic_result(0, 0))
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert (table.num_rows, tuple(table.column_names)) == (0, COLUMN_NAMES)


def test_parquet_sink_after_interruption_is_readable_and_resumes(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    interrupt_run(path, range(8))
    assert parquet.read_table(path)["frame"].to_pylist() == frame_column(range(8))
    with open_sink(path, RESUME) as sink:
        write_frames(sink, range(sink.begin("clip.mp4").next_frame, 20))
        sink.end("clip.mp4")
    assert parquet.read_table(path)["frame"].to_pylist() == frame_column(range(20))
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.parquet"]


def test_csv_to_parquet_of_killed_run_converts_journal(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    write_frames(open_sink(path), range(5))
    assert not path.exists()
    csv_to_parquet(journal_path(path), path)
    assert parquet.read_table(path)["frame"].to_pylist() == frame_column(range(5))


def test_open_sink_without_pyarrow_raises_sink_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SinkError, match=re.escape(install_command("parquet"))):
        open_sink(tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []
