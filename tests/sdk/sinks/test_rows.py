from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks import COLUMN_NAMES, OverwritePolicy, Sink, SinkError, SinkOptions, open_sink
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_formats import CsvFormat, JsonlFormat
from faceaffect.types import Frame
from tests.sdk.sinks.conftest import synthetic_result

RESUME, OVERWRITE = SinkOptions(OverwritePolicy.RESUME), SinkOptions(OverwritePolicy.OVERWRITE)


def write(sink: Sink, frames: range, source: str = "clip.mp4") -> None:
    for index in frames:
        sink.write(*synthetic_result(index, face_count=index % 3, source=source))


def frames_in(path: Path) -> list[int]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [int(row["frame"]) for row in csv.DictReader(stream)]


def expected(frames: range) -> list[int]:
    return [index for index in frames for _ in range(index % 3)]


def test_columns_are_the_promised_ones() -> None:
    assert ",".join(COLUMN_NAMES) == (
        "source,frame,time_s,track_id,box_x1,box_y1,box_x2,box_y2,face_score,quality,yaw_deg,pitch_deg,roll_deg,"
        "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26,active_aus,"
        "neutral,anger,disgust,fear,happiness,sadness,surprise,expression,valence,arousal"
    )


def test_every_value_stands_in_its_column() -> None:
    frame, faces, affect = synthetic_result(7, 2)
    row = dict(zip(COLUMN_NAMES, list(rows_for_frame(frame, faces, affect))[1], strict=True))
    assert (row["source"], row["frame"], row["time_s"], row["track_id"]) == ("clip.mp4", 7, 0.28, 2)
    assert row["box_y2"] == pytest.approx(faces.box_xyxy[1, 3], abs=0.005)
    assert row["pitch_deg"] == pytest.approx(faces.pose_deg[1, 1], abs=0.005)
    assert row["AU26"] == pytest.approx(affect.au_probability[1, 11], abs=5e-5)
    assert ("AU26" in str(row["active_aus"]).split("+")) == bool(affect.au_active[1, 11])
    assert row["surprise"] == pytest.approx(affect.expression_probability[1, 6], abs=5e-5)
    assert row[str(row["expression"])] == max(row[name] for name in COLUMN_NAMES[26:33])
    assert row["arousal"] == pytest.approx(affect.arousal[1], abs=5e-5)


def test_formats_say_the_same_and_survive_odd_names_and_unknown_numbers() -> None:
    frame, faces, affect = synthetic_result(3)
    frame = Frame(frame.pixels, source='a "b", c\nü.mp4', index=3)
    faces.quality[0], affect.valence[0] = np.nan, -0.00001
    (row,) = rows_for_frame(frame, faces, affect)
    named = json.loads(JsonlFormat().line(row))
    (read,) = csv.DictReader(io.StringIO(CsvFormat().header() + CsvFormat().line(row), newline=""))
    assert list(named) == list(read) == list(COLUMN_NAMES)
    assert (named["quality"], read["quality"], named["valence"], read["valence"]) == (
        None,
        "",
        0.0,
        "0.0",
    )
    assert named["source"] == read["source"] == 'a "b", c\nü.mp4'
    assert all(str(named[name]) == read[name] for name in COLUMN_NAMES if name != "quality")


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_complete_run_leaves_rows_and_nothing_else(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / name) as sink:
        write(sink, range(10))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(expected(range(10))) + name.endswith("csv")


def test_rows_are_on_disk_after_every_frame(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "rows.csv")
    write(sink, range(3))
    assert frames_in(tmp_path / "rows.csv") == expected(range(3))
    sink.close()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_existing_output_is_never_lost_by_accident(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"rows.{suffix}"
    with open_sink(path) as sink:
        write(sink, range(3))
    before = path.read_bytes()
    with pytest.raises(
        SinkError, match="exists already; use --resume to continue it or --overwrite"
    ):
        open_sink(path)
    with pytest.raises(SinkError, match="nothing to resume"):
        open_sink(path, RESUME)
    assert path.read_bytes() == before
    with open_sink(path, OVERWRITE):
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
def test_outputs_that_cannot_be(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SinkError, match=message):
        open_sink(tmp_path / path)


def interrupt(
    path: Path, frames: range, source: str = "clip.mp4", options: SinkOptions | None = None
) -> None:
    """A run that ends by an exception in the middle of a source."""

    def run() -> None:
        with open_sink(path, options) as sink:
            start = sink.begin(source).next_frame
            write(sink, range(max(start, frames.start), frames.stop), source)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


def test_resume_after_interrupt_neither_repeats_nor_loses(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt(path, range(8))
    with path.open("a") as stream:
        stream.write("clip.mp4,8,0.3")  # torn, as a kill leaves it
    with open_sink(path, RESUME) as sink:
        point = sink.begin("clip.mp4")
        assert (point.next_frame, point.last_track_id, point.is_finished) == (8, 2, False)
        write(sink, range(8, 20))
        sink.end("clip.mp4")
    assert frames_in(path) == expected(range(20))
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.csv"]


def test_resume_drops_rows_that_the_progress_does_not_know(tmp_path: Path) -> None:
    """After a kill the file may be ahead of the note that is taken once a second."""
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    sink.begin("clip.mp4")
    sink._save_checkpoint()  # type: ignore[attr-defined]
    write(sink, range(9))
    sink._descriptor = None  # type: ignore[attr-defined]  # gone without a goodbye
    with open_sink(path, RESUME) as resumed:
        assert resumed.begin("clip.mp4").next_frame == 0
        write(resumed, range(9))
    assert frames_in(path) == expected(range(9))


def test_several_sources_resume_where_each_stood(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    for source, stop in (("a", 5), ("b", 3)):
        sink.begin(source)
        write(sink, range(stop), source)
    sink.begin("c")
    write(sink, range(4), "c")
    sink.end("c")
    sink.close(is_complete=False)
    with open_sink(path, RESUME) as resumed:
        points = [resumed.begin(source) for source in ("a", "b", "c", "d")]
    assert [point.next_frame for point in points] == [5, 3, 0, 0]
    assert [point.is_finished for point in points] == [False, False, True, False]


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt(path, range(3), options=SinkOptions(run_config={"model": "small"}))
    with pytest.raises(SinkError, match="model was small, is large"):
        open_sink(path, SinkOptions(OverwritePolicy.RESUME, {"model": "large"}))


def test_resume_of_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt(path, range(9))
    path.write_text("gone")
    with pytest.raises(SinkError, match="changed since: use --overwrite"):
        open_sink(path, RESUME)


def test_full_disk_keeps_rows_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    sink.begin("clip.mp4")
    limits, handler = (
        resource.getrlimit(resource.RLIMIT_FSIZE),
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(SinkError, match="writing stopped"):
            write(sink, range(99))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    sink.close(is_complete=False)
    kept = frames_in(path)
    assert kept == expected(range(kept[-1] + 1))
    with open_sink(path, RESUME) as resumed:
        write(resumed, range(resumed.begin("clip.mp4").next_frame, 40))
    assert frames_in(path) == expected(range(40))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_device_without_room(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="No space left on device"):
        open_sink(tmp_path / "rows.csv", OVERWRITE)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_what_the_model_does_not_read_is_empty(tmp_path: Path, suffix: str) -> None:
    """A model of valence and arousal alone, then one of action units alone."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    frame, faces, whole = synthetic_result(0)
    nan = np.float32(np.nan)
    mood = replace(
        whole, au_probability=whole.au_probability * nan, au_active=whole.au_active & False,
        expression_probability=whole.expression_probability * nan,
    )  # fmt: skip
    units = replace(whole, expression_probability=whole.expression_probability * nan, valence=nan * whole.valence,
                    arousal=nan * whole.arousal)  # fmt: skip
    path = tmp_path / f"rows{suffix}"
    with open_sink(path) as sink:
        sink.begin("clip.mp4")
        sink.write(frame, faces, mood)
        sink.write(replace(frame, index=1), faces, units)
        sink.end("clip.mp4")
    first, second = read_rows(path)
    empty = {name for name, value in first.items() if value in ("", None)}
    assert empty == {*AU_NAMES, "active_aus", *EXPRESSION_NAMES, "expression"}
    empty = {name for name, value in second.items() if value in ("", None)}
    assert empty - {"active_aus"} == {*EXPRESSION_NAMES, "expression", "valence", "arousal"}


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]
    return list(csv.DictReader(path.open(encoding="utf-8")))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_name_that_is_not_utf8_costs_no_row(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"rows{suffix}"
    with open_sink(out) as sink:
        sink.begin("bad\udcff.mp4")
        sink.write(*synthetic_result(1, source="bad\udcff.mp4"))
        sink.end("bad\udcff.mp4")
    assert out.read_text(encoding="utf-8").count("bad\\") == 1
