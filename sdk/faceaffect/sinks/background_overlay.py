"""Annotates and encodes overlay images in a background thread."""

from __future__ import annotations

import threading
from queue import Queue
from typing import Final

from faceaffect.drawing.annotator import FaceAnnotator
from faceaffect.sinks.overlay_sink import OverlaySink
from faceaffect.types import Affect, Faces, Frame

_MAX_QUEUED_FRAMES: Final = 4


class BackgroundOverlay:
    """Annotates each frame and passes it to `sink` while the next one is analyzed.

    An error in the thread is raised by the next `write` or by `close`, which always leaves a
    closed file.
    """

    def __init__(self, sink: OverlaySink, annotator: FaceAnnotator) -> None:
        """Start the thread."""
        self.path = sink.path
        self.notes = sink.notes
        self._sink = sink
        self._annotator = annotator
        self._queue: Queue[tuple[Frame, Faces, Affect] | None] = Queue(_MAX_QUEUED_FRAMES)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="faceaffect-overlay", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        """Queue a frame; blocks while the queue is full."""
        self._queue.put((frame, faces, affect))
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Draw what is queued and close the sink."""
        self._queue.put(None)
        self._thread.join()
        self._sink.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        # After an error the queue is still drained, so that the caller never blocks on it.
        while (item := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._sink.write(item[0], self._annotator.draw(*item))
                except Exception as error:
                    self._error = error
