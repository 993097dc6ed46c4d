"""Addresses of streams, such as `zmq://*:5556` and `mqtt://host/topic`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from faceaffect.sinks.sink import SinkError
from faceaffect.system.path_text import redact_passwords

EXAMPLES: Final[dict[str, str]] = {
    "zmq": "zmq://*:5556",
    "mqtt": "mqtt://host/topic",
    "mqtts": "mqtts://user@host/topic",
    "lsl": "lsl://name",
    "osc": "osc://127.0.0.1:9000",
}
"""Schemes, each with an example."""
_MAX_WAIT_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """A parsed address.

    Attributes:
        text: The address without its password.
        scheme: A key of `EXAMPLES`.
        host: Host name, IP address, `*` for all interfaces, or the name of an LSL stream.
        port: Port; None where the address has none.
        path: What follows the host, without slashes at its ends.
        user: User name; empty for none.
        password: Password; empty for none.
        wait_s: How long `begin` waits for a receiver, of `?wait=SECONDS`.
    """

    text: str
    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    user: str = ""
    password: str = ""
    wait_s: float = 0.0


def is_stream(output: str) -> bool:
    """Return whether an output is the address of a stream."""
    scheme, separator, _ = output.partition("://")
    return bool(separator) and scheme.lower() in EXAMPLES


def parse_address(text: str) -> StreamAddress:
    """Parse an address.

    Raises:
        SinkError: It is none, or lacks a host or a port.
    """
    shown = redact_passwords(text)
    scheme = text.partition("://")[0].lower()
    example = EXAMPLES[scheme]
    try:
        parts = urlsplit(text)
        host, port = _host(parts.netloc), parts.port
        wait_s = _wait_s(parts.query)
    except ValueError as error:
        raise SinkError(
            f"{shown}: expected an address such as {example}, got {error}; correct --out"
        ) from None
    if not host or (port is None and scheme in ("zmq", "osc")):
        missing = "a port" if host else "a host" if scheme != "lsl" else "a name"
        raise SinkError(
            f"{shown}: expected an address such as {example}, got none with {missing}; add it"
        )
    return StreamAddress(
        text=shown,
        scheme=scheme,
        host=host,
        port=port,
        path=unquote(parts.path).strip("/"),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        wait_s=wait_s,
    )


def _host(netloc: str) -> str:
    """Return the host as it was written: names of LSL streams keep their case."""
    host = netloc.rpartition("@")[2]
    if host.startswith("["):  # IPv6
        return host.partition("]")[0][1:]
    return unquote(host.partition(":")[0])


def _wait_s(query: str) -> float:
    options = parse_qs(query, keep_blank_values=True)
    if unknown := sorted(set(options) - {"wait"}):
        raise ValueError(f"the option {unknown[0]} (known is ?wait=SECONDS)")
    value = float(options.get("wait", ["0"])[-1])
    if not (math.isfinite(value) and 0 <= value <= _MAX_WAIT_S):
        raise ValueError(f"a wait of {value:g} s (0 to {_MAX_WAIT_S:g})")
    return value
