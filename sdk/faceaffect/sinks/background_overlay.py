"""Annotates and encodes overlay images in a background thread."""

from __future__ import annotations

import threading
import warnings
import weakref
from contextlib import suppress
from queue import Queue
from typing import Final

from faceaffect.drawing.annotator import FaceAnnotator
from faceaffect.sinks.overlay_sink import OverlaySink
from faceaffect.types import Affect, Faces, Frame

_MAX_QUEUED_FRAMES: Final = 4


class BackgroundOverlay:
    """Annotates each frame and passes it to `sink` while the next one is analyzed.

    An error in the thread is raised by the next `write` or by `close`, which always leaves a
    closed file. One that is dropped without `close` ends likewise, with a ResourceWarning.
    """

    def __init__(self, sink: OverlaySink, annotator: FaceAnnotator) -> None:
        """Start the thread."""
        self.path = sink.path
        self.notes = sink.notes
        self._sink = sink
        self._drawer = _Drawer(sink, annotator)
        self._thread = threading.Thread(
            target=self._drawer.run, name="faceaffect-overlay", daemon=True
        )
        self._thread.start()
        self._finalizer = weakref.finalize(self, _end_dropped, self._drawer)

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        """Queue a frame; blocks while the queue is full."""
        self._drawer.queue.put((frame, faces, affect))
        if self._drawer.error is not None:
            raise self._drawer.error

    def close(self) -> None:
        """Draw what is queued and close the sink."""
        self._finalizer.detach()
        self._drawer.queue.put(None)
        self._thread.join()
        self._sink.close()
        if self._drawer.error is not None:
            raise self._drawer.error


class _Drawer:
    """What the thread runs on; it does not refer to the BackgroundOverlay."""

    def __init__(self, sink: OverlaySink, annotator: FaceAnnotator) -> None:
        self.queue: Queue[tuple[Frame, Faces, Affect] | None] = Queue(_MAX_QUEUED_FRAMES)
        self.error: Exception | None = None
        self.is_dropped = False
        self._sink = sink
        self._annotator = annotator

    def run(self) -> None:
        # After an error the queue is still drained, so that the caller never blocks on it.
        while (item := self.queue.get()) is not None:
            if self.error is None:
                try:
                    self._sink.write(item[0], self._annotator.draw(*item))
                except Exception as error:
                    self.error = error
        if self.is_dropped:
            with suppress(Exception):  # nobody is left to be told
                self._sink.close()


def _end_dropped(drawer: _Drawer) -> None:
    drawer.is_dropped = True
    drawer.queue.put(None)
    warnings.warn("unclosed overlay: call close()", ResourceWarning, stacklevel=2)
