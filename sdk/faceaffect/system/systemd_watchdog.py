"""Tells systemd that the service has started and is alive; no-op outside of a systemd unit."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

_PINGS_PER_TIMEOUT = 4


class SystemdWatchdog:
    """Sends the messages of sd_notify for units with `Type=notify` and `WatchdogSec=`."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if address and hasattr(socket, "AF_UNIX"):
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        timeout_us = os.environ.get("WATCHDOG_USEC", "")
        self._interval_s = (
            int(timeout_us) / 1e6 / _PINGS_PER_TIMEOUT if timeout_us.isdecimal() else None
        )
        self._next_ping_s = 0.0

    def ready(self) -> None:
        """Report that the service has started."""
        self._send("READY=1")

    def ping(self) -> None:
        """Report a frame; sent a few times per timeout."""
        if self._socket is None or self._interval_s is None:
            return
        now_s = time.monotonic()
        if now_s >= self._next_ping_s:
            self._next_ping_s = now_s + self._interval_s
            self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # a busy systemd must not end the analysis
                self._socket.sendto(message.encode(), self._address)
