"""A live server in a process of its own, and what it uses."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """A running server: address with a slash at its end, process id."""

    address: str
    pid: int

    @property
    def stream(self) -> str:
        return f"{self.address.replace('http', 'ws')}v1/stream"

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.address}metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def connections(self) -> int:
        """Open requests and WebSockets besides the one that asks."""
        return int(self.metric("faceaffect_connections")) - 1

    def memory_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def start_server(*arguments: str) -> Iterator[Server]:
    """Run `faceaffect` with arguments such as `serve`, at any free port."""
    command = [sys.executable, "-m", "faceaffect", *arguments, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        if not line.startswith("page: "):
            raise RuntimeError(line + process.stderr.read())
        try:
            yield Server(line.removeprefix("page: ").strip(), process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=30)
