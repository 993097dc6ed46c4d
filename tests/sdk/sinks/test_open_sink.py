"""Selection of a row sink by its path, and checks before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.sinks import OverwritePolicy, SinkError, SinkOptions, open_sink
from tests.sdk.sinks.synthetic_results import frame_column, write_frames


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_complete_run_leaves_rows_and_no_other_file(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / name) as sink:
        write_frames(sink, range(10))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(frame_column(range(10))) + name.endswith("csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_open_sink_with_existing_output_replaces_it_only_if_asked(
    tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"rows.{suffix}"
    with open_sink(path) as sink:
        write_frames(sink, range(3))
    before = path.read_bytes()
    with pytest.raises(SinkError, match="exists already; use --resume to continue it or --overwr"):
        open_sink(path)
    with pytest.raises(SinkError, match="nothing to resume"):
        open_sink(path, SinkOptions(OverwritePolicy.RESUME))
    assert path.read_bytes() == before
    with open_sink(path, SinkOptions(OverwritePolicy.OVERWRITE)):
        pass
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("rows.txt", "must end in"),
        ("missing/rows.csv", "does not exist"),
        ("folder.csv", "cannot be written"),
    ],
)
def test_open_sink_with_impossible_output_raises_sink_error(
    tmp_path: Path, path: str, message: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SinkError, match=message):
        open_sink(tmp_path / path)
