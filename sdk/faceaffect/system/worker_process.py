"""Worker processes that exchange lines of JSON, which raw bytes may follow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any, Final

_CLOSE_TIMEOUT_S: Final = 2.0


class WorkerProcess:
    """One process and its two pipes.

    It has a session of its own, so that Ctrl-C reaches only the process that started it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # lives as long as the process  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; if the process has died, `receive` returns None."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def receive(self) -> tuple[str, Any] | None:
        """Name and value of the next message; None if the process has died or was closed."""
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
            return next(iter(json.loads(line).items())) if line else None
        except ValueError:  # cut short, or closed
            return None

    def receive_bytes(self, count: int) -> bytes:
        """The bytes that follow a message; fewer if the process has died."""
        assert self._process.stdout is not None
        try:
            return self._process.stdout.read(count)
        except ValueError:  # closed
            return b""

    def exit_reason(self) -> str:
        """Signal or exit code of the process, and the last line of its standard error."""
        code = self._process.wait()
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._stderr.seek(max(0, os.fstat(self._stderr.fileno()).st_size - 1000))
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"{reason} ({lines[-1]})" if lines else reason

    def close(self) -> None:
        """Let the process exit by itself; kill it if it does not."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(_CLOSE_TIMEOUT_S)
        except (subprocess.TimeoutExpired, OSError):
            self.kill()

    def kill(self) -> None:
        """Kill the process and wait until it has gone."""
        self._process.kill()
        self._process.wait()
