"""Lab Streaming Layer: rows as samples whose time stamps are on the clock of LSL."""

from __future__ import annotations

import math
import os
import socket
import time
from typing import Any, Final

import pylsl

from faceaffect.sinks.streams.address import StreamAddress
from faceaffect.sinks.streams.message import NUMBER_NAMES, StreamMessage

STREAM_TYPE: Final = "FaceAffect"
_CLOSE_DELAY_S: Final = 0.2
_UNITS: Final = {"box": "pixels", "_deg": "degrees"}


class LslOutlet:
    """An outlet of double precision with one channel for each of `NUMBER_NAMES`.

    Each row is a sample; several faces of a frame are samples of the same time stamp, told apart by
    their `track_id`. Unknown numbers are NaN.
    """

    def __init__(self, address: StreamAddress) -> None:
        """Announce the stream to the network."""
        name = address.host
        info = pylsl.StreamInfo(
            name,
            STREAM_TYPE,
            len(NUMBER_NAMES),
            pylsl.IRREGULAR_RATE,
            pylsl.cf_double64,
            # The same for every run of a name on a machine, so that receivers reconnect.
            f"faceaffect-{socket.gethostname()}-{os.getuid()}-{name}",
        )
        channels = info.desc().append_child("channels")
        for label in NUMBER_NAMES:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", _unit(label))
        self._outlet: Any = pylsl.StreamOutlet(info)
        self._clock = FrameClock()

    def wait_for_receiver(self, timeout_s: float) -> None:
        """Wait for an inlet."""
        self._outlet.wait_for_consumers(timeout_s)

    def send(self, message: StreamMessage) -> bool:
        """Push a sample; return False if there is no inlet. LSL itself buffers for slow ones."""
        cells = message.cells
        ready_s = pylsl.local_clock() - (time.monotonic() - message.ready_s)
        time_s = float(cells["time_s"] or 0.0)
        source = str(cells["source"])
        stamp_s = self._clock.to_local(source, time_s, ready_s, is_live=message.is_live)
        sample = [_number(cells[name]) for name in NUMBER_NAMES]
        self._outlet.push_sample(sample, stamp_s)
        return bool(self._outlet.have_consumers())

    def close(self) -> int:
        """Withdraw the stream, once the last samples are on their way."""
        if self._outlet.have_consumers():
            time.sleep(_CLOSE_DELAY_S)  # LSL cannot be asked whether they are
        self._outlet = None
        return 0


class FrameClock:
    """Maps times of frames to the clock of LSL by an offset for each source.

    A frame is ready after it was captured, never before, so the offset of a live source is the
    smallest difference seen: that of the frame which was analyzed with the least delay. A file has
    no moment of capture: its first frame is put at the moment when it was analyzed.
    """

    def __init__(self) -> None:
        """Start without an offset."""
        self._source: str | None = None
        self._offset_s = 0.0

    def to_local(self, source: str, time_s: float, ready_s: float, *, is_live: bool) -> float:
        """Return the time of a frame on the clock of LSL.

        Args:
            source: Its source.
            time_s: Its presentation time.
            ready_s: When its row was ready, on the clock of LSL.
            is_live: Whether the source is a camera or a stream.
        """
        offset_s = ready_s - time_s
        if source != self._source:
            self._source, self._offset_s = source, offset_s
        elif is_live:
            self._offset_s = min(self._offset_s, offset_s)
        return time_s + self._offset_s


def _unit(label: str) -> str:
    return next((unit for part, unit in _UNITS.items() if part in label), "none")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
