"""Row sink that sends rows to other programs and never waits for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from faceaffect.sinks.columns import rows_for_frame, select_columns
from faceaffect.sinks.row_formats import JsonlFormat
from faceaffect.sinks.sink import ResumePoint, Sink, SinkOptions
from faceaffect.sinks.streams.address import StreamAddress
from faceaffect.sinks.streams.message import StreamMessage
from faceaffect.sinks.streams.transport import Transport
from faceaffect.sources.open_source import is_live
from faceaffect.types import Affect, Faces, Frame, FrameInfo

_MAX_QUEUED_FRAMES: Final = 256
_CLOSE_TIMEOUT_S: Final = 2.0

_Item = tuple[FrameInfo, Faces, Affect, float, bool]


class StreamSink(Sink):
    """Sends rows from a background thread; where it does not keep up, the oldest are dropped.

    Attributes:
        sent_rows: Rows that were sent.
        dropped_rows: Rows that were not, or not to every receiver.
    """

    def __init__(
        self,
        address: StreamAddress,
        transport: Transport,
        options: SinkOptions,
        max_queued_frames: int = _MAX_QUEUED_FRAMES,
    ) -> None:
        """Start the thread."""
        self.path = address.text
        self.sent_rows = 0
        self.dropped_rows = 0
        self._wait_s = address.wait_s
        self._transport = transport
        self._format = JsonlFormat(select_columns(options.columns))
        self._names = [column.name for column in self._format.columns]
        self._every_frame = options.every_frame
        self._max_queued_frames = max_queued_frames
        self._queue: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_closed = False
        self._is_live = False
        self._error = ""
        self._thread = threading.Thread(target=self._run, name="faceaffect-stream", daemon=True)
        self._thread.start()

    @property
    def notes(self) -> list[str]:
        """What to tell the user at the end."""
        if not self.dropped_rows:
            return []
        total = self.sent_rows + self.dropped_rows
        reason = self._error or "no receiver, or one that is too slow"
        return [f"{self.path}: {self.dropped_rows} of {total} rows did not arrive ({reason})"]

    def begin(self, source: str) -> ResumePoint:
        """Start the rows of `source`; waits for a receiver only where the address says so."""
        self._is_live = is_live(source)
        if self._wait_s:
            self._transport.wait_for_receiver(self._wait_s)
            self._wait_s = 0.0
        return ResumePoint()

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Queue the rows of one frame; the oldest frame makes room if the queue is full."""
        if not len(faces) and not self._every_frame:
            return
        info = FrameInfo(frame.source, frame.index, frame.time_s)
        with self._changed:
            if len(self._queue) >= self._max_queued_frames:
                self.dropped_rows += max(1, len(self._queue.popleft()[1]))
            self._queue.append((info, faces, affect, time.monotonic(), self._is_live))
            self._changed.notify()

    def end(self, source: str) -> None:
        """Do nothing: a stream has no checkpoint."""

    def close(self, *, is_complete: bool = True) -> None:
        """Send what is queued, for two seconds at most, and disconnect."""
        if self._is_closed:
            return
        self._is_closed = True
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_TIMEOUT_S)
        with self._changed:
            self.dropped_rows += sum(max(1, len(item[1])) for item in self._queue)
            self._queue.clear()
        if not self._thread.is_alive():  # else it is inside of the transport
            unsent = self._transport.close()
            self.sent_rows -= unsent
            self.dropped_rows += unsent

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._is_closing:
                        return
                    self._changed.wait()
                item = self._queue.popleft()
            self._send(*item)

    def _send(
        self, frame: FrameInfo, faces: Faces, affect: Affect, ready_s: float, is_live: bool
    ) -> None:
        columns = self._format.columns
        for row in rows_for_frame(frame, faces, affect, columns, every_frame=self._every_frame):
            cells = dict(zip(self._names, row, strict=True))
            json = self._format.line(row).rstrip("\n").encode()
            try:
                is_sent = self._transport.send(StreamMessage(cells, json, ready_s, is_live))
            except Exception as error:  # of a receiver: the analysis goes on without it
                is_sent = False
                self._error = str(error)
            with self._changed:
                self.sent_rows += is_sent
                self.dropped_rows += not is_sent
