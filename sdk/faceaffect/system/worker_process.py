"""Worker processes that exchange messages over pipes.

A message is a line of JSON. Those of a worker are `{kind: value}`, and bytes may follow the line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import IO, Any, Final

from faceaffect.errors import FaceAffectError
from faceaffect.system.path_text import printable_message

_CLOSE_TIMEOUT_S: Final = 2.0
_STDERR_TAIL_BYTES: Final = 1000


class WorkerError(FaceAffectError, RuntimeError):
    """A worker process that cannot be started."""


class WorkerProcess:
    """A worker process, as seen by the process that started it.

    It has its own session, so that Ctrl-C only reaches the process that started it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start the process.

        Raises:
            WorkerError: The system has no process, pipe or thread left for it.
        """
        try:
            self._process = subprocess.Popen(
                [*command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise WorkerError(f"a worker process cannot be started ({error})") from None
        self._finalizer = weakref.finalize(self, _kill, self._process)
        assert self._process.stderr is not None
        self._stderr = _Tail(self._process.stderr)
        self._reader = threading.Thread(
            target=self._stderr.read, name="faceaffect-stderr", daemon=True
        )
        try:
            self._reader.start()
        except RuntimeError as error:
            self.kill()
            raise WorkerError(f"a thread cannot be started ({error})") from None

    @property
    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; if the process has died, `receive` returns None."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return

    def receive(self) -> tuple[str, Any] | None:
        """Return kind and value of the next message; None if the process died or was closed."""
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
            return next(iter(json.loads(line).items())) if line else None
        except (ValueError, AttributeError, StopIteration, RecursionError, OSError):
            return None  # truncated, closed, or no message

    def receive_bytes(self, count: int) -> bytes:
        """Return the bytes that follow a message; fewer if the process died."""
        assert self._process.stdout is not None
        try:
            return self._process.stdout.read(count)
        except (ValueError, TypeError, OSError):  # closed
            return b""

    def exit_reason(self) -> str:
        """Wait for the process; return its signal or exit code and its last line on stderr."""
        code = self._process.wait()
        reason = _signal_name(-code) if code < 0 else f"exit code {code}"
        self._reader.join(_CLOSE_TIMEOUT_S)
        lines = printable_message(self._stderr.text()).strip().splitlines()
        return f"{reason} ({lines[-1]})" if lines else reason

    def close(self) -> None:
        """Close the input of the process, on which an idle worker exits; else kill it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(_CLOSE_TIMEOUT_S)
        except (subprocess.TimeoutExpired, OSError):
            self.kill()
        self._reader.join(_CLOSE_TIMEOUT_S)

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self._finalizer.detach()
        _kill(self._process)


class _Tail:
    """Reads a stream to its end and keeps its last bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""

    def read(self) -> None:
        """Read; body of a thread."""
        try:
            while block := os.read(self._stream.fileno(), _STDERR_TAIL_BYTES):
                self._last = (self._last + block)[-_STDERR_TAIL_BYTES:]
        except (OSError, ValueError):
            return
        finally:
            self._stream.close()

    def text(self) -> str:
        """Return the last bytes as text."""
        return self._last.decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


class WorkerOutput:
    """The stream of messages that a worker process sends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    @classmethod
    def from_stdout(cls) -> WorkerOutput:
        """Take over standard output; what libraries print goes to standard error instead."""
        stream = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(stream)

    def send(self, kind: str, value: Any, content: bytes = b"") -> None:
        """Send a message and the bytes that follow it; raises BrokenPipeError."""
        self._stream.write(json.dumps({kind: value}).encode() + b"\n" + content)
        self._stream.flush()


def describe_error(error: Exception) -> str:
    """Return the message of an error; errors of other packages need their type as well."""
    is_own = isinstance(error, FaceAffectError)
    return str(error) if is_own else f"{type(error).__name__}: {error}"


def run_worker(serve: Callable[[WorkerOutput], None]) -> None:
    """Run a worker's loop; exit at once if the process that reads its messages is gone."""
    output = WorkerOutput.from_stdout()
    try:
        serve(output)
    except BrokenPipeError:
        os._exit(1)  # without flushing what cannot be written
