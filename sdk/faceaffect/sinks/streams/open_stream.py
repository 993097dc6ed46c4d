"""Opens the stream that an address asks for."""

from __future__ import annotations

from typing import Final

from faceaffect.sinks.sink import SinkOptions
from faceaffect.sinks.streams.address import StreamAddress, parse_address
from faceaffect.sinks.streams.stream_sink import StreamSink
from faceaffect.sinks.streams.transport import Transport, require_package

_PACKAGES: Final = {
    "zmq": ("zmq", "zmq"),
    "mqtt": ("paho", "mqtt"),
    "mqtts": ("paho", "mqtt"),
    "lsl": ("pylsl", "lsl"),
    "osc": ("pythonosc", "osc"),
}
"""Module and extra of each scheme."""


def check_stream(text: str) -> StreamAddress:
    """Check that a stream can be opened, without opening it.

    Raises:
        SinkError: The address is wrong, or its package is not installed.
    """
    address = parse_address(text)
    require_package(*_PACKAGES[address.scheme], address.text)
    return address


def open_stream(text: str, options: SinkOptions) -> StreamSink:
    """Open the stream of an address.

    Raises:
        SinkError: It cannot be opened.
    """
    address = check_stream(text)
    return StreamSink(address, _open_transport(address), options)


def _open_transport(address: StreamAddress) -> Transport:
    # Imported here: each transport's package comes with an extra.
    if address.scheme == "zmq":
        from faceaffect.sinks.streams.zmq_publisher import ZmqPublisher

        return ZmqPublisher(address)
    if address.scheme == "lsl":
        from faceaffect.sinks.streams.lsl_outlet import LslOutlet

        return LslOutlet(address)
    if address.scheme == "osc":
        from faceaffect.sinks.streams.osc_sender import OscSender

        return OscSender(address)
    from faceaffect.sinks.streams.mqtt_publisher import MqttPublisher

    return MqttPublisher(address)
