"""A process of ours that is told what to do by lines of JSON, and answers by lines of JSON that
bytes may follow.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any, Final

_END_S: Final = 2.0


class WorkerProcess:
    """One process and its two pipes. It is a session of its own, so that Ctrl-C reaches the one
    that started it alone.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # lives as long as the process  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
        )

    def ask(self, message: dict[str, Any]) -> None:
        """Hand it a line; where it has died its answer says so."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def next_line(self) -> tuple[str, Any] | None:
        """Name and value of its next line, which holds one of each; None where it died or was
        closed.
        """
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
            return next(iter(json.loads(line).items())) if line else None
        except ValueError:  # cut short, or closed
            return None

    def next_bytes(self, count: int) -> bytes:
        """The bytes that follow a line; fewer where it died."""
        assert self._process.stdout is not None
        try:
            return self._process.stdout.read(count)
        except ValueError:  # closed
            return b""

    def last_words(self) -> str:
        """How it ended and the last line that it wrote."""
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._said.seek(max(0, os.fstat(self._said.fileno()).st_size - 1000))
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return f"{how} ({lines[-1]})" if lines else how

    def end(self) -> None:
        """Let it go by itself: it has nothing to do any more."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(_END_S)
        except (subprocess.TimeoutExpired, OSError):
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
