"""Outputs under hostile surroundings: two writers, vanished files, planted links, full disks."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from pathlib import Path

import pytest

from faceaffect.batch import BatchError, open_store
from faceaffect.batch.output_store import WORK
from faceaffect.sinks import (
    OverwritePolicy,
    SinkError,
    SinkOptions,
    ThreadedSink,
    checkpoint_file,
    open_sink,
)
from faceaffect.sinks.checkpoint_file import checkpoint_path, load_checkpoint
from faceaffect.sinks.columns import MAX_ROW_BYTES, source_cell
from faceaffect.sinks.row_formats import CsvFormat
from faceaffect.sinks.written_rows import read_written_faces
from faceaffect.system.durable_file import write_file
from faceaffect.system.path_text import printable_message, printable_text
from tests.sdk.sinks.synthetic_results import (
    frame_column,
    interrupt_run,
    read_frame_column,
    synthetic_result,
    write_frames,
)

RESUME = SinkOptions(OverwritePolicy.RESUME)
OVERWRITE = SinkOptions(OverwritePolicy.OVERWRITE)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_second_writer_of_row_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with open_sink(path, OVERWRITE) as first:
        write_frames(first, range(5))
        with pytest.raises(SinkError, match="another run is writing it"):
            open_sink(path, OVERWRITE)
        write_frames(first, range(5, 9))
    assert path.exists()
    open_sink(path, OVERWRITE).close()  # the lock ends with the run


@pytest.mark.parametrize("replace", [False, True])
def test_row_file_removed_during_run_raises_sink_error(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    write_frames(sink, range(5))
    path.unlink()
    if replace:
        path.write_text("of somebody else")
    with pytest.raises(SinkError, match="removed or replaced"):
        sink.close()
    assert not replace or path.read_text() == "of somebody else"


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_failed_run_without_rows_leaves_nothing(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / name)
    sink.begin("missing.mp4")
    sink.close(is_complete=False)
    assert list(tmp_path.iterdir()) == []


def test_planted_links_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("thesis")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("rows.csv.progress.jsonl", "rows.csv.progress.jsonl.tmp", "rows.parquet.tmp"):
        (out / name).symlink_to(victim)
    interrupt_run(out / "rows.csv", range(9))
    with open_sink(out / "rows.parquet") as sink:
        write_frames(sink, range(9))
    (out / "rows2.parquet.partial.csv").symlink_to(victim)
    with pytest.raises(SinkError, match="cannot be written"):
        open_sink(out / "rows2.parquet", OVERWRITE)
    assert victim.read_text() == "thesis"
    assert not (out / "rows.parquet").is_symlink()


def test_write_file_replaces_link_and_keeps_its_target(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("thesis")
    (tmp_path / "page.html").symlink_to(victim)
    write_file(tmp_path / "page.html", b"page")
    assert victim.read_text() == "thesis"
    assert (tmp_path / "page.html").read_text() == "page"


@pytest.mark.parametrize("name", [".faceaffect", WORK])
def test_state_folder_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    (victim / "work").mkdir(parents=True)
    (victim / "work" / "thesis.txt").write_text("thesis")
    link = tmp_path / "parts" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    with (
        pytest.raises(BatchError, match="expected a folder, got a link"),
        open_store(str(tmp_path / "parts")).lock(),
    ):
        pass
    assert (victim / "work" / "thesis.txt").read_text() == "thesis"


def test_rows_are_synced_before_the_checkpoint_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    sink.begin("clip.mp4")
    write_frames(sink, range(9))
    synced.clear()
    sink.settle()  # type: ignore[attr-defined]
    checkpoint = load_checkpoint(checkpoint_path(path))
    assert checkpoint is not None
    assert checkpoint.output_bytes == path.stat().st_size
    assert synced.index("rows.csv") < synced.index("rows.csv.progress.jsonl")
    synced.clear()
    sink.close()
    assert "rows.csv" in synced
    synced.clear()
    with open_sink(tmp_path / "rows.parquet") as parquet:
        write_frames(parquet, range(3))
    assert any(name.startswith(".faceaffect-") for name in synced)  # before the rename
    assert tmp_path.name in synced  # the folder, after it


def test_progress_of_many_sources_grows_by_a_constant(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    sink = open_sink(path)

    def sizes(count: int) -> int:
        before = checkpoint_path(path).stat().st_size
        for number in range(count):
            name = f"{before}-{number}.jpg"
            sink.begin(name)
            sink.write(*synthetic_result(0, source=name))
            sink.end(name)
            if number % 10 == 9:
                sink._saved_s = -1e9  # type: ignore[attr-defined]  # a second has passed
        return checkpoint_path(path).stat().st_size - before

    first, last = sizes(200), [sizes(200) for _ in range(5)][-1]
    assert last < 1.5 * first
    sink.close(is_complete=False)
    with open_sink(path, RESUME) as resumed:
        assert resumed.begin("0-0.jpg").is_finished is False
        checkpoint = load_checkpoint(checkpoint_path(path))
        assert checkpoint is not None
        assert sum(state.is_finished for state in checkpoint.sources.values()) == 1200


def test_threaded_sink_dropped_without_close_ends_thread_and_keeps_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    threads = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))
    sink = ThreadedSink(open_sink(path))
    sink.begin("clip.mp4")
    write_frames(sink, range(9))
    with pytest.warns(ResourceWarning, match="unclosed ThreadedSink"):
        del sink
    end_s = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < end_s:
        time.sleep(0.01)
    assert threading.active_count() == threads
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert read_frame_column(path) == frame_column(range(9))
    with open_sink(path, RESUME) as resumed:
        assert resumed.begin("clip.mp4").next_frame == 9


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("clip.mp4", "clip.mp4"),
        ("=cmd|'calc'!A0.png", "./=cmd|'calc'!A0.png"),
        ("+1.png", "./+1.png"),
        ("-1.png", "./-1.png"),
        ("@SUM(1+1).png", "./@SUM(1+1).png"),
        ("\x1b]0;PWNED\x07.png", "\\x1b]0;PWNED\\x07.png"),
        ("a\nb\x9b2J\u202e.png", "a\\nb\\x9b2J\\u202e.png"),
        ("a\udcff.png", "a\\udcff.png"),
        ("s3://key:secret@bucket/a.mp4", "s3://key:***@bucket/a.mp4"),
    ],
)
def test_source_cell_neutralizes_escapes_formulas_and_passwords(name: str, cell: str) -> None:
    assert source_cell(name) == cell


def test_printable_text_leaves_no_control_character() -> None:
    text = "".join(map(chr, range(0x300))) + "\u2028\u2066"
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in printable_text(text))
    assert printable_text("Zoë 笑.mp4") == "Zoë 笑.mp4"
    message = "rtsp://user:se@cret@host/x\x1b[2J: lost\nhttp://host:80/a@b"
    assert printable_message(message) == "rtsp://user:***@host/x\\x1b[2J: lost\nhttp://host:80/a@b"


def test_checkpoint_of_any_content_is_refused_with_words_or_repaired(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt_run(path, range(12))
    rows, log = path.read_bytes(), checkpoint_path(path).read_bytes()
    values: list[object] = [None, True, -1, 0, 1 << 70, 1.5, "x", [], {}, [[]], rows.decode()[:9]]
    lines = log.splitlines()
    names = sorted({*json.loads(lines[0]), *json.loads(lines[-1])})
    for row in range(len(lines)):
        for name in names:
            for value in values:
                changed = json.loads(lines[row])
                if name not in changed:
                    continue
                changed[name] = value
                damaged = [*lines]
                damaged[row] = json.dumps(changed).encode()
                _resume_damaged(path, rows, b"\n".join(damaged) + b"\n")
    for damage in (b"", b"[" * 100_000, b"\0" * 99, b"{}\n", log[:-20], log + b"\0" * 50, log * 2):
        _resume_damaged(path, rows, damage)
    for cut in (0, 3, 300, len(rows) - 1, len(rows) - 400):
        _resume_damaged(path, rows[:cut], log)
    _resume_damaged(path, b"x" * len(rows), log)


def test_endless_line_of_a_checkpoint_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    interrupt_run(path, range(12))
    log = checkpoint_path(path).read_bytes()
    monkeypatch.setattr(checkpoint_file, "MAX_LINE_BYTES", 2000)
    open_sink(path, RESUME).close(is_complete=False)
    for damaged in (b" " * 3000 + log, log + b" " * 3000):
        checkpoint_path(path).write_bytes(damaged)
        with pytest.raises(SinkError, match=r"lines of at most 2000 bytes.*use --overwrite"):
            open_sink(path, RESUME)
    monkeypatch.setattr(checkpoint_file, "MAX_LOG_BYTES", len(log) - 1)
    checkpoint_path(path).write_bytes(log)
    with pytest.raises(SinkError, match=f"{len(log) - 1} in all"):
        open_sink(path, RESUME)


def test_rows_behind_a_line_without_end_are_not_searched() -> None:
    content = b"x" * (4 * MAX_ROW_BYTES)
    read_bytes = 0

    def read(start: int, end: int) -> bytes:
        nonlocal read_bytes
        read_bytes += end - start
        return content[start:end]

    assert read_written_faces(read, len(content), CsvFormat(), "clip.mp4", 0) == []
    assert read_bytes < 2 * MAX_ROW_BYTES


def _resume_damaged(path: Path, rows: bytes, log: bytes) -> None:
    """Resume: either words, or whole rows from the first frame on with the rest analyzed anew."""
    path.write_bytes(rows)
    checkpoint_path(path).write_bytes(log)
    message = ""
    try:
        sink = open_sink(path, RESUME)
    except SinkError as error:
        message = str(error)
    if message:
        assert "use --overwrite" in message
        return
    start = sink.begin("clip.mp4").next_frame
    sink.close(is_complete=False)
    kept = path.read_bytes() if path.exists() else b""
    assert rows.startswith(kept)
    assert not kept or kept.endswith(b"\n")
    assert not kept or kept.startswith(b"source,frame,")
    assert 0 <= start < 1 << 63
