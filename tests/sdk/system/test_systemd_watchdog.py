"""Messages to a fake systemd on a local socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceaffect.cli.progress import SourceProgress
from faceaffect.system import systemd_watchdog
from faceaffect.system.systemd_watchdog import SystemdWatchdog


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "40000000")
        yield server


def received(server: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(server.recv(100).decode())
        except BlockingIOError:
            return messages


def test_watchdog_pings_four_times_per_timeout(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(systemd_watchdog.time, "monotonic", lambda: now_s[0])
    watchdog = SystemdWatchdog()
    watchdog.ready()
    for _ in range(400):  # 40 s at 10 fps
        watchdog.ping()
        now_s[0] += 0.1
    assert received(systemd) == ["READY=1", *["WATCHDOG=1"] * 4]
    watchdog.close()
    watchdog.ready()
    assert received(systemd) == []


def test_watchdog_without_systemd_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    watchdog = SystemdWatchdog()
    watchdog.ready()
    watchdog.ping()
    watchdog.close()


def test_watchdog_after_systemd_went_away_does_not_raise(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchdog = SystemdWatchdog()
    systemd.close()
    watchdog.ready()
    watchdog.ping()


def test_progress_of_analysis_reports_frames_to_systemd(systemd: socket.socket) -> None:
    with SourceProgress(1, is_quiet=True) as progress:
        progress.start_source(1, "csi://0")
        assert received(systemd) == []
        progress.start_frames(None, 0)
        progress.advance(1, 0)
        progress.advance(1, 0)
    assert received(systemd) == ["READY=1", "WATCHDOG=1"]
