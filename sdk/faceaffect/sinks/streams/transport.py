"""Interface of the transports of streams."""

from __future__ import annotations

import importlib.util
from typing import Protocol

from faceaffect.sinks.sink import SinkError
from faceaffect.sinks.streams.message import StreamMessage
from faceaffect.system.install_command import install_command


class Transport(Protocol):
    """Sends messages from one thread; no method waits for a receiver unless it says so."""

    def wait_for_receiver(self, timeout_s: float) -> None:
        """Wait until there is a receiver, or for `timeout_s`."""
        ...

    def send(self, message: StreamMessage) -> bool:
        """Send a message; return False if a receiver did not get it.

        Raises:
            OSError: It cannot be sent.
        """
        ...

    def close(self) -> int:
        """Send what is on its way, for a second at most, and disconnect.

        Returns:
            How many messages for which `send` returned True were not sent.
        """
        ...


def require_package(package: str, extra: str, address: str) -> None:
    """Check that a package of an extra is installed.

    Raises:
        SinkError: It is not.
    """
    if importlib.util.find_spec(package) is None:
        raise SinkError(
            f"{address}: expected the package {package} of the extra {extra}, got none; run"
            f" {install_command(extra)}"
        )
