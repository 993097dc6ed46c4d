"""Runs the detector beside the frames, so that none waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from faceaffect.detectors.detector import BackgroundDetector, Detections, Detector
from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Frame


class BackgroundDetection:
    """At most one detector run at a time, in a thread of its own.

    All methods are for the tracker's thread.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix="faceaffect-detect", initializer=lower_thread_priority
        )
        self._run: Future[list[Detections]] | None = None
        self._is_stale = False

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way, or its result was not fetched yet."""
        return self._run is not None

    def submit(self, frame: Frame, detectors: Sequence[Detector], full_resolution: bool) -> None:
        """Run `detectors`, which nobody else may use meanwhile, on `frame`.

        Those after the first one run only if it finds nothing.
        """
        self._is_stale = False
        self._run = self._thread.submit(_detect, frame, detectors, full_resolution)

    def discard(self) -> None:
        """Ignore the result of the run under way, as after a shot cut."""
        self._is_stale = True

    def poll(self) -> list[Detections] | None:
        """Detections of each detector of a finished run, once; None if there is none.

        Raises:
            Exception: Any error of a detector.
        """
        if self._run is None or not self._run.done():
            return None
        finished, self._run = self._run, None
        detections = finished.result()
        return [] if self._is_stale else detections

    def close(self) -> None:
        """Wait for the run under way, and end the thread."""
        self._run = None
        self._thread.shutdown()


class QueuedDetection:
    """Runs a `BackgroundDetector` from one frame to the next: the same rows in every run."""

    def __init__(self, detector: BackgroundDetector) -> None:
        self._detector = detector
        self.is_busy = False

    def submit(self, frame: Frame, detectors: Sequence[Detector], full_resolution: bool) -> None:
        """Start a run of the detector; the tracker runs the others on the next frame."""
        self._detector.start(frame, full_resolution=full_resolution)
        self.is_busy = True

    def discard(self) -> None:
        """Wait for the run that was started, if any, and ignore its result."""
        if self.is_busy:
            self.is_busy = False
            with suppress(RuntimeError):  # of a lost GPU: the next run reports it
                self._detector.finish()

    def poll(self) -> list[Detections] | None:
        """Wait for the run that was started; None if there is none.

        Raises:
            Exception: Any error of the detector.
        """
        if not self.is_busy:
            return None
        self.is_busy = False
        return [self._detector.finish()]

    def close(self) -> None:
        """Wait for the run that was started."""
        self.discard()


def _detect(frame: Frame, detectors: Sequence[Detector], full_resolution: bool) -> list[Detections]:
    first, *others = detectors
    found = [first.detect(frame, full_resolution=full_resolution)]
    if not len(found[0]):
        found += [detector.detect(frame) for detector in others]
    return found
