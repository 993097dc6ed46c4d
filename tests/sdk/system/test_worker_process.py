"""Tests of worker processes and their messages."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from faceaffect.sources.source import SourceError
from faceaffect.system.worker_process import WorkerOutput, WorkerProcess, describe_error

ECHO = """
import json, sys
from faceaffect.system.worker_process import WorkerOutput
output = WorkerOutput.from_stdout()
print("printed by a library")
for line in sys.stdin:
    text = json.loads(line)["text"].encode()
    output.send("echo", len(text), text)
"""
Start = Callable[[str], WorkerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program as a worker process."""
    workers: list[WorkerProcess] = []

    def start_program(program: str) -> WorkerProcess:
        workers.append(WorkerProcess((sys.executable, "-c", program)))
        return workers[-1]

    yield start_program
    for worker in workers:
        worker.kill()


def test_worker_process_exchanges_messages_and_bytes(start: Start) -> None:
    worker = start(ECHO)
    for text in ("first", "second"):
        worker.send({"text": text})
        assert worker.receive() == ("echo", len(text))
        assert worker.receive_bytes(len(text)) == text.encode()
    worker.close()
    assert not worker.is_alive
    assert worker.exit_reason() == "exit code 0 (printed by a library)"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit('no model')", r"exit code 1 (no model)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_worker_process_that_died_has_exit_reason(start: Start, program: str, reason: str) -> None:
    worker = start(program)
    assert worker.receive() is None
    assert worker.exit_reason() == reason
    worker.send({"text": "ignored"})
    assert worker.receive_bytes(3) == b""


def test_worker_process_busy_is_killed_by_close(start: Start) -> None:
    worker = start("import time; time.sleep(60)")
    assert worker.is_alive
    worker.close()
    assert worker.exit_reason() == "SIGKILL"


def test_receive_truncated_message_returns_none(start: Start) -> None:
    assert start("print('{\"frames\": 1', end='')").receive() is None


def test_send_writes_line_and_content() -> None:
    stream = io.BytesIO()
    WorkerOutput(stream).send("frames", 3, b"abc")
    assert stream.getvalue() == b'{"frames": 3}\nabc'


@pytest.mark.parametrize(
    ("error", "text"),
    [(SourceError("no such file"), "no such file"), (OSError("disk"), "OSError: disk")],
)
def test_describe_error_names_type_of_foreign_errors(error: Exception, text: str) -> None:
    assert describe_error(error) == text
