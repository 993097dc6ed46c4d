"""Resumed runs give the rows of unbroken ones, and know an input by what it is."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceaffect.cli import main
from faceaffect.sinks import OverwritePolicy, SinkError, SinkOptions, open_sink
from faceaffect.sinks.columns import NUMBERS
from faceaffect.sinks.sink import InputReplacedError, WrittenFace
from faceaffect.sinks.text_sink import TextSink
from faceaffect.types import Affect, Faces, Frame, FrameInfo
from tests.sdk.sinks.synthetic_results import interrupt_run, synthetic_result, write_frames

RESUME = SinkOptions(OverwritePolicy.RESUME)
GRID = "data/videos/grid_swiz3n.mpg"


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as exit_info:
        main([str(argument) for argument in arguments])
    return int(exit_info.value.code or 0)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def interrupt_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Interrupts the next runs at a frame, as Ctrl-C does."""
    write = TextSink.write

    def set_frame(stop: int | None) -> None:
        def stopping(
            sink: TextSink, frame: Frame | FrameInfo, faces: Faces, affect: Affect
        ) -> None:
            if frame.index == stop:
                raise KeyboardInterrupt
            write(sink, frame, faces, affect)

        monkeypatch.setattr(TextSink, "write", stopping)

    return set_frame


@pytest.mark.shared
def test_resumed_run_has_ids_and_values_of_unbroken_run(
    shared: Path, trained: None, tmp_path: Path, interrupt_at: Callable[[int | None], None]
) -> None:
    clip = shared / GRID
    options = ("--precision", "fp32", "--quiet")
    unbroken, resumed = tmp_path / "unbroken.csv", tmp_path / "resumed.csv"
    assert run("analyze", clip, "--out", unbroken, *options) == 0
    interrupt_at(61)
    assert run("analyze", clip, "--out", resumed, *options) == 130
    interrupt_at(None)
    assert {row["frame"] for row in read(resumed)} <= {str(frame) for frame in range(61)}
    assert run("analyze", clip, "--out", resumed, "--resume", *options) == 0
    expected, rows = read(unbroken), read(resumed)
    assert len(expected) > 61
    for name in ("source", "frame", "time_s", "track_id"):
        assert [row[name] for row in rows] == [row[name] for row in expected]
    for column in NUMBERS:
        difference = np.abs(
            [
                float(a[column.name]) - float(b[column.name])
                for a, b in zip(rows, expected, strict=True)
            ]
        )
        assert difference.max() <= (1e-3 if column.decimals == 4 else 0.05), column.name


def test_resume_under_another_spelling_continues_under_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_bytes(b"video")
    Path("link.mp4").symlink_to("clip.mp4")
    interrupt_run(Path("rows.csv"), range(6))
    for number, name in enumerate(("./clip.mp4", str(tmp_path / "clip.mp4"), "link.mp4")):
        sink = open_sink("rows.csv", RESUME)
        start = sink.begin(name).next_frame
        assert start == 6 + 3 * number
        write_frames(sink, range(start, start + 3), str(Path(name)))  # as sources name frames
        sink.close(is_complete=False)
    assert {row["source"] for row in read(Path("rows.csv"))} == {"clip.mp4"}


@pytest.mark.parametrize("is_finished", [False, True])
def test_resume_after_input_was_replaced_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_finished: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_bytes(b"first")
    sink = open_sink("rows.csv")
    sink.begin("clip.mp4")
    write_frames(sink, range(6))
    if is_finished:
        sink.end("clip.mp4")
    sink.close(is_complete=False)
    Path("clip.mp4").write_bytes(b"other")
    resumed = open_sink("rows.csv", RESUME)
    with pytest.raises(InputReplacedError, match="was replaced since its rows were written"):
        resumed.begin("clip.mp4")
    resumed.close(is_complete=False)
    Path("clip.mp4").write_bytes(b"first")  # a copy is the same input
    with open_sink("rows.csv", RESUME) as resumed:
        assert resumed.begin("clip.mp4").is_finished is is_finished


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_written_faces_are_those_of_the_last_frames(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceaffect.sinks.written_rows._BLOCK_BYTES", 1000)
    with open_sink(tmp_path / name) as sink:
        for source, count in (("other.mp4", 30), ("clip.mp4", 200), ("later.mp4", 40)):
            sink.begin(source)
            write_frames(sink, range(count), source)
            sink.end(source)
        faces = sink.written_faces("clip.mp4", 190)
        assert sink.written_faces("missing.mp4", 0) == []
    expected = []
    for index in range(190, 200):
        frame, one, _ = synthetic_result(index, index % 3, "clip.mp4")
        expected += [
            WrittenFace(index, frame.time_s, int(track_id), tuple(np.round(box, 2).tolist()))
            for track_id, box in zip(one.track_id, one.box_xyxy.astype(float), strict=True)
        ]
    assert [(one.frame, one.track_id) for one in faces] == [
        (one.frame, one.track_id) for one in expected
    ]
    np.testing.assert_allclose(
        [one.box_xyxy for one in faces], [one.box_xyxy for one in expected], atol=0.011
    )


def test_resume_of_finished_run_is_refused_with_words(tmp_path: Path) -> None:
    with open_sink(tmp_path / "rows.csv") as sink:
        write_frames(sink, range(3))
    with pytest.raises(SinkError, match="nothing to resume"):
        open_sink(tmp_path / "rows.csv", RESUME)
