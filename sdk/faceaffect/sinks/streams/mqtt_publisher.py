"""MQTT: publishes rows as JSON under one topic of a broker."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from faceaffect.sinks.streams.address import StreamAddress
from faceaffect.sinks.streams.message import StreamMessage

DEFAULT_TOPIC: Final = "faceaffect"
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_MAX_QUEUED_MESSAGES: Final = 1000
_CLOSE_TIMEOUT_S: Final = 1.0
_MAX_RECONNECT_S: Final = 5


class MqttPublisher:
    """Publishes with quality of service 0 (at most once), and reconnects by itself."""

    def __init__(self, address: StreamAddress) -> None:
        """Start to connect, in a thread of the client."""
        self._topic = address.path or DEFAULT_TOPIC
        self._sent = 0
        self._published = 0
        self._connected = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        if address.user:
            self._client.username_pw_set(address.user, address.password or None)
        if address.scheme == "mqtts":
            self._client.tls_set()
        self._client.reconnect_delay_set(1, _MAX_RECONNECT_S)
        self._client.connect_async(address.host, address.port or _PORTS[address.scheme])
        self._client.loop_start()

    def wait_for_receiver(self, timeout_s: float) -> None:
        """Wait for the broker."""
        self._connected.wait(timeout_s)

    def send(self, message: StreamMessage) -> bool:
        """Publish a row; return False without a broker, or if it does not keep up."""
        if not self._connected.is_set() or self._sent - self._published >= _MAX_QUEUED_MESSAGES:
            return False
        info = self._client.publish(self._topic, message.json, qos=0)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self._sent += 1
        return True

    def close(self) -> int:
        """Publish what is queued, then disconnect."""
        deadline_s = time.monotonic() + _CLOSE_TIMEOUT_S
        while (
            self._connected.is_set()
            and self._published < self._sent
            and time.monotonic() < deadline_s
        ):
            time.sleep(0.005)
        unsent = self._sent - self._published
        self._client.disconnect()
        self._client.loop_stop()
        return unsent

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _rest: Any) -> None:
        if not reason.is_failure:
            self._connected.set()

    def _on_disconnect(self, *_arguments: Any) -> None:
        self._connected.clear()

    def _on_publish(self, *_arguments: Any) -> None:
        self._published += 1  # in the thread of the client only
