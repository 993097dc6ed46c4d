"""Who releases what a file source reads, and when."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Generator

import numpy as np
import pytest

from faceaffect.sources.file_source import FileSource
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import Frame


class Reader(FileSource):
    """Notes whether it was released while a read was under way, as a decoder would crash on."""

    def __init__(self) -> None:
        super().__init__("reader", SourceOptions(prefetch_frames=1))
        self.is_reading = threading.Event()
        self.may_end = threading.Event()
        self.released: list[str] = []

    def _decode(self) -> Generator[Frame, None, None]:
        self.is_reading.set()
        self.may_end.wait(10)
        self.is_reading.clear()
        yield Frame(np.zeros((8, 8, 3), np.uint8))

    def _release(self) -> None:
        self.released.append("while reading" if self.is_reading.is_set() else "idle")


def wait_for_release(reader: Reader) -> None:
    deadline = time.monotonic() + 10
    while not reader.released and time.monotonic() < deadline:
        time.sleep(0.01)


def test_close_before_iteration_releases_once() -> None:
    reader = Reader()
    reader.close()
    reader.close()
    assert reader.released == ["idle"]


def test_close_after_iteration_releases_in_the_thread() -> None:
    reader = Reader()
    reader.may_end.set()
    assert len(list(reader)) == 1
    reader.close()
    assert reader.released == ["idle"]
    with pytest.raises(SourceError, match="read once"):
        iter(reader)


@pytest.mark.filterwarnings("ignore:unclosed source")
def test_signal_while_the_thread_starts_releases_nothing_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A handler may raise in `Thread.start` after the thread has begun to read."""
    reader = Reader()
    start = threading.Thread.start

    def start_and_interrupt(thread: threading.Thread) -> None:
        start(thread)
        assert reader.is_reading.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        iter(reader)
    monkeypatch.undo()
    reader.close()
    assert reader.released == []
    gc.collect()
    reader.may_end.set()
    wait_for_release(reader)
    assert reader.released == ["idle"]


def test_without_a_thread_the_source_is_released_by_close(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="new thread"):
        iter(reader)
    monkeypatch.undo()
    reader.close()
    assert reader.released == ["idle"]
