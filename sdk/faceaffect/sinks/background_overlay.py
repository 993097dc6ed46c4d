"""Drawing and encoding in a thread of their own."""

from __future__ import annotations

import threading
from queue import Queue

from faceaffect.drawing.annotator import FaceAnnotator
from faceaffect.sinks.overlay_sink import OverlaySink
from faceaffect.types import Affect, Faces, Frame

_WAITING_FRAMES = 4


class BackgroundOverlay:
    """Draws each frame and hands it to `sink` while the next one is analyzed.

    What goes wrong in the thread is raised by the next `write` or by `close`, which always
    leaves a closed file.
    """

    def __init__(self, sink: OverlaySink, overlay: FaceAnnotator) -> None:
        self.path, self.notes = sink.path, sink.notes
        self._sink, self._overlay = sink, overlay
        self._waiting: Queue[tuple[Frame, Faces, Affect] | None] = Queue(_WAITING_FRAMES)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="faceaffect-overlay", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        self._waiting.put((frame, faces, affect))
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._sink.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        """After an error the queue is still emptied, so that nobody waits for room in it."""
        while (item := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._sink.write(item[0], self._overlay.draw(*item))
                except Exception as error:
                    self._error = error
