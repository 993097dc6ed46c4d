"""ZeroMQ: publishes rows as JSON to any number of subscribers."""

from __future__ import annotations

from typing import Final

import zmq

from faceaffect.sinks.sink import SinkError
from faceaffect.sinks.streams.address import StreamAddress
from faceaffect.sinks.streams.message import StreamMessage

_MAX_QUEUED_MESSAGES: Final = 1000  # for each subscriber
_LINGER_MS: Final = 1000


class ZmqPublisher:
    """Binds a publishing socket; each message is one part, the JSON of a row."""

    def __init__(self, address: StreamAddress) -> None:
        """Bind to the address.

        Raises:
            SinkError: The port is taken, or the host is not one of this machine.
        """
        self._context = zmq.Context()
        # XPUB is PUB that also tells of its subscribers.
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, _MAX_QUEUED_MESSAGES)
        self._socket.setsockopt(zmq.LINGER, _LINGER_MS)
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket.setsockopt(zmq.IPV6, int(":" in address.host))
        host = f"[{address.host}]" if ":" in address.host else address.host
        try:
            self._socket.bind(f"tcp://{host}:{address.port}")
        except zmq.ZMQError as error:
            self.close()
            raise SinkError(
                f"{address.text}: expected an address of this machine and a free port, got"
                f" {error.strerror}; choose another"
            ) from None

    def wait_for_receiver(self, timeout_s: float) -> None:
        """Wait for a subscriber."""
        self._socket.poll(round(timeout_s * 1000), zmq.POLLIN)

    def send(self, message: StreamMessage) -> bool:
        """Publish a row; return False if the queue of a subscriber is full.

        The other subscribers get it all the same. ZeroMQ tells when a queue becomes full, not how
        many messages a full one then misses, so this counts at least one for each such time.
        """
        while self._socket.poll(0, zmq.POLLIN):
            self._socket.recv()  # subscriptions, which would pile up
        try:
            self._socket.send(message.json, zmq.NOBLOCK)
        except zmq.Again:
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._socket.send(message.json, zmq.NOBLOCK)
            self._socket.setsockopt(zmq.XPUB_NODROP, 1)
            return False
        return True

    def close(self) -> int:
        """Send what is queued and close the socket."""
        self._socket.close()
        self._context.term()  # returns after LINGER at the latest
        return 0
