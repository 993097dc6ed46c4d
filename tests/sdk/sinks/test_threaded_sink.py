"""Rows written in a background thread: order, errors, interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import faceaffect
from faceaffect.sinks import OverwritePolicy, SinkError, SinkOptions, open_sink
from faceaffect.sinks.sink import ResumePoint, Sink
from faceaffect.sinks.threaded_sink import ThreadedSink
from faceaffect.types import Affect, Faces, Frame, FrameInfo
from tests.sdk.sinks.synthetic_results import read_frame_column, synthetic_result

RESUME = SinkOptions(OverwritePolicy.RESUME)
ROOT = Path(__file__).resolve().parents[3]


class ListSink(Sink):
    """Records frames; fails at frame `fails_at` and waits for `gate` before each one."""

    path = "list"

    def __init__(self, fails_at: int = -1, gate: threading.Event | None = None) -> None:
        self.indices: list[int] = []
        self.events: list[str] = []
        self.threads: set[str] = set()
        self._fails_at, self._gate = fails_at, gate

    def begin(self, source: str) -> ResumePoint:
        self.events.append(f"begin {source} after {len(self.indices)}")
        return ResumePoint(next_frame=7)

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        if self._gate is not None:
            self._gate.wait(20)
        if frame.index == self._fails_at:
            raise SinkError("list: no space; free some")
        self.threads.add(threading.current_thread().name)
        self.indices.append(frame.index)

    def end(self, source: str) -> None:
        self.events.append(f"end {source} after {len(self.indices)}")

    def close(self, *, is_complete: bool = True) -> None:
        self.events.append(f"close complete={is_complete}")


def write_all(sink: Sink, frames: range) -> None:
    for index in frames:
        sink.write(*synthetic_result(index, source="a"))


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed until the test opens it; opened at the end, so that no thread is left behind."""
    event = threading.Event()
    yield event
    event.set()


def test_threaded_sink_writes_bytes_of_wrapped_sink(tmp_path: Path) -> None:
    for name, wrap in (("plain.csv", lambda sink: sink), ("threaded.csv", ThreadedSink)):
        with wrap(open_sink(tmp_path / name)) as sink:
            assert sink.path == str(tmp_path / name)
            for source in ("a", "b"):
                assert sink.begin(source) == ResumePoint(0, -1 if source == "a" else 2, False)
                for index in range(300):
                    sink.write(*synthetic_result(index, index % 3, source))
                sink.end(source)
    assert (tmp_path / "threaded.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["plain.csv", "threaded.csv"]


def test_threaded_sink_writes_in_one_thread_that_ends_on_close() -> None:
    inner = ListSink()
    with ThreadedSink(inner) as sink:
        for index in range(1000):
            sink.write(*synthetic_result(index))
    assert inner.indices == list(range(1000))
    assert inner.threads == {"faceaffect-rows"}
    assert inner.events == ["close complete=True"]
    assert "faceaffect-rows" not in {thread.name for thread in threading.enumerate()}


def test_begin_and_end_wait_for_earlier_rows(gate: threading.Event) -> None:
    inner = ListSink(gate=gate)
    with ThreadedSink(inner) as sink:
        assert sink.begin("a").next_frame == 7
        for index in range(3):
            sink.write(*synthetic_result(index))
        threading.Timer(0.05, gate.set).start()
        sink.end("a")
        sink.begin("b")
    assert inner.events[:3] == ["begin a after 0", "end a after 3", "begin b after 3"]


def test_write_with_full_queue_blocks(gate: threading.Event) -> None:
    inner = ListSink(gate=gate)
    written: list[int] = []

    def write() -> None:
        for index in range(50):
            sink.write(*synthetic_result(index))
            written.append(index)

    sink = ThreadedSink(inner, max_queued_frames=4)
    caller = threading.Thread(target=write, daemon=True)
    caller.start()
    wait_until(lambda: len(written) == 4)
    time.sleep(0.05)
    assert len(written) == 4  # the fifth is blocked
    gate.set()
    caller.join(20)
    sink.close()
    assert inner.indices == list(range(50))


def test_queued_frames_keep_no_pixels(gate: threading.Event) -> None:
    sink = ThreadedSink(ListSink(gate=gate))
    frame, faces, affect = synthetic_result(3)
    pixels = weakref.ref(frame.pixels)
    sink.write(frame, faces, affect)
    del frame
    assert pixels() is None
    gate.set()
    sink.close()


def test_write_after_error_raises_it_and_writes_nothing() -> None:
    inner = ListSink(fails_at=5)
    analyzed: list[int] = []

    def analyze() -> None:
        for index in range(1000):
            analyzed.append(index)
            sink.write(*synthetic_result(index))

    sink = ThreadedSink(inner, max_queued_frames=4)
    with pytest.raises(SinkError, match="free some"):
        analyze()
    # The failed frame, those that fit into the queue, and the one that raised.
    assert len(analyzed) <= 5 + 1 + 4 + 1
    for _ in range(10):  # a caller that continues gets the error again, and never blocks
        with pytest.raises(SinkError, match="free some"):
            sink.write(*synthetic_result(2000))
    sink.close()
    assert inner.indices == list(range(5))
    assert inner.events == ["close complete=False"]


@pytest.mark.parametrize("last", ["end", "begin", "close"])
def test_error_of_last_frame_is_raised_by_end_begin_or_close(last: str) -> None:
    inner = ListSink(fails_at=2)
    sink = ThreadedSink(inner)
    write_all(sink, range(3))
    with pytest.raises(SinkError, match="free some"):
        getattr(sink, last)(*([] if last == "close" else ["a"]))
    sink.close()
    assert inner.events == ["close complete=False"]


def test_threaded_sink_after_close_raises_sink_error() -> None:
    sink = ThreadedSink(ListSink())
    sink.close()
    with pytest.raises(SinkError, match="is closed"):
        sink.write(*synthetic_result(0))
    with pytest.raises(SinkError, match="is closed"):
        sink.begin("a")


def test_threaded_sink_after_interruption_has_all_rows_and_resumes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"

    def run() -> None:
        with ThreadedSink(open_sink(path)) as sink:
            sink.begin("a")
            write_all(sink, range(12))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert read_frame_column(path) == list(range(12))
    with ThreadedSink(open_sink(path, RESUME)) as sink:
        assert sink.begin("a").next_frame == 12


def test_threaded_sink_on_full_disk_keeps_complete_rows_and_resumes(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "rows.csv"
    sink = ThreadedSink(open_sink(path))
    sink.begin("a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(SinkError, match=r"writing stopped .* free some space and use --resume"):
            write_all(sink, range(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    sink.close(is_complete=False)
    kept = read_frame_column(path)
    assert kept == list(range(len(kept)))
    with ThreadedSink(open_sink(path, RESUME)) as resumed:
        assert resumed.begin("a").next_frame == len(kept)
        write_all(resumed, range(len(kept), 40))
    assert read_frame_column(path) == list(range(40))


ENDLESS = """
import sys
from faceaffect.sinks import open_sink
from faceaffect.sinks.threaded_sink import ThreadedSink
from faceaffect.types import FrameInfo
from tests.sdk.sinks.synthetic_results import synthetic_result

sink, index = ThreadedSink(open_sink(sys.argv[1])), 0
sink.begin("a")
_, faces, affect = synthetic_result(0, 3, "a")
while True:
    sink.write(FrameInfo("a", index), faces, affect)
    index += 1
"""


def test_threaded_sink_of_killed_process_has_complete_rows_and_resumes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    sdk = Path(next(iter(faceaffect.__path__))).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(sdk), str(ROOT)])}
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], env=environment)
    wait_until(lambda: path.exists() and path.stat().st_size > 200_000)
    process.kill()
    process.wait(10)
    assert path.read_bytes().endswith(b"\n")
    frames = read_frame_column(path)
    assert frames == [index for index in range(len(frames) // 3) for _ in range(3)]
    with ThreadedSink(open_sink(path, RESUME)) as sink:
        next_frame = sink.begin("a").next_frame
        assert next_frame <= len(frames) // 3
        for index in range(next_frame, len(frames) // 3 + 5):
            sink.write(*synthetic_result(index, 3, "a"))
    assert read_frame_column(path) == [
        index for index in range(len(frames) // 3 + 5) for _ in range(3)
    ]
