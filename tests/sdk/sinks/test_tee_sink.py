"""Tests of several outputs of one run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceaffect.sinks import OverwritePolicy, SinkError, SinkOptions
from faceaffect.sinks.open_sink import check_outputs, open_sinks
from tests.sdk.sinks.synthetic_results import (
    frame_column,
    interrupt_run,
    read_frame_column,
    write_frames,
)

RESUME = SinkOptions(OverwritePolicy.RESUME)


@pytest.fixture
def outputs(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl")]


def json_frames(path: str) -> list[int]:
    return [json.loads(line)["frame"] for line in Path(path).read_text().splitlines()]


def test_open_sinks_writes_the_same_rows_to_all(
    outputs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    sink, streams = open_sinks([*outputs, "jsonl:-"], SinkOptions())
    with sink:
        sink.begin("clip.mp4")
        write_frames(sink, range(20))
        sink.end("clip.mp4")
    expected = frame_column(range(20))
    assert streams == []
    assert read_frame_column(Path(outputs[0])) == expected
    assert json_frames(outputs[1]) == expected
    assert capfd.readouterr().out == Path(outputs[1]).read_text()


def test_tee_sink_resumes_files_that_were_interrupted_at_different_rows(
    outputs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    interrupt_run(Path(outputs[0]), range(12))
    interrupt_run(Path(outputs[1]), range(7))
    sink, _ = open_sinks([*outputs, "-"], RESUME)
    with sink:
        point = sink.begin("clip.mp4")
        assert (point.next_frame, point.last_track_id, point.is_finished) == (7, 2, False)
        faces = sink.written_faces("clip.mp4", 5)
        assert [one.frame for one in faces] == [5, 5]
        write_frames(sink, range(7, 20))
        sink.end("clip.mp4")
    assert read_frame_column(Path(outputs[0])) == frame_column(range(20))
    assert json_frames(outputs[1]) == frame_column(range(20))
    printed = capfd.readouterr().out.splitlines()[1:]
    assert [int(line.split(",")[1]) for line in printed] == frame_column(range(7, 20))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["rows.csv", "./rows.csv"], "expected outputs that differ"),
        (["-", "jsonl:-"], "expected outputs that differ"),
        (["zmq://*:5556", "rows.docx"], "must end in"),
    ],
)
def test_check_outputs_that_clash_are_refused(
    others: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError, match=message):
        check_outputs(others, OverwritePolicy.REFUSE)


def test_check_outputs_without_file_cannot_be_resumed() -> None:
    with pytest.raises(SinkError, match="a stream cannot be resumed"):
        check_outputs(["lsl://faces"], OverwritePolicy.RESUME)


def test_open_sinks_after_an_error_closes_and_deletes_the_others(outputs: list[str]) -> None:
    Path(outputs[1]).write_text("")
    with pytest.raises(SinkError, match="exists already"):
        open_sinks(outputs, SinkOptions())
    assert not Path(outputs[0]).exists()
