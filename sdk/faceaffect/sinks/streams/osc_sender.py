"""OSC: the numbers of each row as messages of their own, in one UDP packet per face."""

from __future__ import annotations

import socket
from typing import Final

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks.columns import AU_ON_NAMES
from faceaffect.sinks.sink import SinkError
from faceaffect.sinks.streams.address import StreamAddress
from faceaffect.sinks.streams.message import StreamMessage

DEFAULT_PREFIX: Final = "faceaffect"
_TUPLES: Final = {
    "frame": ("frame", "time_s"),
    "box": ("box_x1", "box_y1", "box_x2", "box_y2"),
    "pose": ("yaw_deg", "pitch_deg", "roll_deg"),
    "quality": ("quality",),
    "valence": ("valence",),
    "arousal": ("arousal",),
    "expression": ("expression",),
}
ADDRESSES: Final[dict[str, tuple[str, ...]]] = {
    **_TUPLES,
    **{f"au/{name}": (name, is_on) for name, is_on in zip(AU_NAMES, AU_ON_NAMES, strict=True)},
    **{f"expression/{name}": (name,) for name in EXPRESSION_NAMES},
}
"""What follows `/faceaffect/TRACK_ID/`, with the columns that are the arguments."""


class OscSender:
    """Sends a bundle for each row; a message with an unknown number is left out."""

    def __init__(self, address: StreamAddress) -> None:
        """Choose the receiver; nothing is sent yet.

        Raises:
            SinkError: The host has no address.
        """
        self._prefix = address.path or DEFAULT_PREFIX
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(*found[:3])
            self._socket.setblocking(False)
            # Only a connected socket is told that nobody listens on another port of this machine.
            self._socket.connect(found[4])
        except OSError as error:
            raise SinkError(
                f"{address.text}: expected the host of a receiver, got {error.strerror}; correct"
                " --out"
            ) from None

    def wait_for_receiver(self, timeout_s: float) -> None:
        """Return at once: UDP knows no receivers."""

    def send(self, message: StreamMessage) -> bool:
        """Send a row; return False if nobody listens, where that is known."""
        track_id = message.cells["track_id"]
        if track_id is None:
            return True  # a frame without a face has no address
        bundle = OscBundleBuilder(IMMEDIATELY)
        for address, columns in ADDRESSES.items():
            cells = [message.cells[name] for name in columns]
            if all(cell is not None and cell != "" for cell in cells):
                builder = OscMessageBuilder(f"/{self._prefix}/{track_id}/{address}")
                for cell in cells:
                    builder.add_arg(cell)
                bundle.add_content(builder.build())
        try:
            self._socket.send(bundle.build().dgram)
        except (BlockingIOError, ConnectionRefusedError):
            return False
        return True

    def close(self) -> int:
        """Close the socket."""
        self._socket.close()
        return 0
