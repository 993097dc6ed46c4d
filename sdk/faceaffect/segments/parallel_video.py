"""Analyzes one video in several processes and yields its results in order."""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, Final

from faceaffect.backends import BackendError
from faceaffect.segments.frame_result import FrameResult, unpack
from faceaffect.segments.plan import Segment
from faceaffect.segments.stitching import TrackIdMapper, frame_offset
from faceaffect.segments.task import SEEK_MARGIN, SegmentSettings, SegmentTask
from faceaffect.sources.source import SourceError
from faceaffect.system.worker_process import WorkerProcess, describe_error

WORKER: Final = (sys.executable, "-m", "faceaffect.segments.worker")
_MAX_AHEAD: Final = 2  # segments per process that may be started or done before their turn
_REPORT_INTERVAL_S: Final = 0.2
_JOIN_TIMEOUT_S: Final = 2.0

# Kind and value: "frames" and a list of FrameResult, "died" and the exit reason, or a message of
# worker.py.
_Message = tuple[str, Any]


@dataclass(slots=True)
class _Attempt:
    """One attempt at a segment.

    Workers seek to a segment; they decode from the start and count frames for the first segment,
    and for one where seeking has failed.
    """

    number: int
    segment: Segment
    is_counted: bool
    messages: queue.SimpleQueue[_Message] = field(default_factory=queue.SimpleQueue)
    has_video_end: bool = False

    def task(self, fps: float) -> SegmentTask:
        start = self.segment.warmup_start
        return SegmentTask(start, self.segment.end, 0.0 if self.is_counted else start / fps)


class ParallelVideo:
    """Results of a video's frames in order, from `jobs` processes. Iterate over it once.

    Iterating raises SourceError if the video cannot be read or a process died on it, and
    BackendError if inference fails, each after the frames before it. Leaving the iteration kills
    the processes.

    Attributes:
        notes: Messages for the user, complete after the iteration.
    """

    def __init__(
        self,
        settings: SegmentSettings,
        segments: Sequence[Segment],
        fps: float,
        jobs: int,
        *,
        next_track_id: int = 1,
        previous: Sequence[FrameResult] = (),
        on_progress: Callable[[int], None] = lambda frames: None,
        command: Sequence[str] = WORKER,
    ) -> None:
        """Plan the processes; they start with the iteration.

        Args:
            settings: Settings of the processes.
            segments: Segments of `plan_segments`.
            fps: Frame rate of the video.
            jobs: Maximum number of processes.
            next_track_id: Id of the first new face.
            previous: Frames before the first segment that an earlier run has analyzed.
            on_progress: Called with the number of frames analyzed since its last call.
            command: Command line of a process.
        """
        self._settings = settings
        self._fps = fps
        self._command = command
        self._previous = list(previous)
        self._on_progress = on_progress
        self._attempts = [
            _Attempt(number, segment, is_counted=number == 0)
            for number, segment in enumerate(segments)
        ]
        self._jobs = min(jobs, len(self._attempts))
        self._ids = TrackIdMapper(next_track_id)
        self._changed = threading.Condition()  # guards the next five
        self._running = self._jobs
        self._todo = deque(self._attempts)
        self._current = 0  # number of the segment whose frames are being yielded
        self._analyzed = 0
        self._is_closed = False
        self._reported = 0
        self._processes: set[WorkerProcess] = set()
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[FrameResult]:
        threads = [
            threading.Thread(target=self._feed_worker, daemon=True) for _ in range(self._jobs)
        ]
        max_warmup = max((one.segment.warmup_frames for one in self._attempts), default=0)
        try:
            _start_all(threads)
            previous = self._previous
            for number in range(len(self._attempts)):
                with self._changed:
                    self._current = number
                    self._changed.notify_all()
                tail: deque[FrameResult] = deque(maxlen=1 + max_warmup)
                for one in self._segment_frames(number, previous):
                    tail.append(one)
                    yield one
                previous = list(tail)
                if self._attempts[number].has_video_end:
                    break
        finally:
            self._close()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(_JOIN_TIMEOUT_S)

    def _segment_frames(self, number: int, previous: list[FrameResult]) -> Iterator[FrameResult]:
        """Yield the frames of a segment under final numbers and ids.

        Args:
            number: Number of the segment.
            previous: Last frames of the previous segment.
        """
        attempt = self._attempts[number]
        segment = attempt.segment
        offset = 0
        next_index = segment.begin
        frames = self._received_frames(attempt)
        if segment.warmup_frames:
            head = list(_until(frames, segment.begin + SEEK_MARGIN))
            if not attempt.is_counted:
                seek_offset = frame_offset(previous, head)
                if seek_offset is None or seek_offset < -SEEK_MARGIN:
                    self._retry_counted(number)
                    yield from self._segment_frames(number, previous)
                    return
                offset = seek_offset
            warmup = [
                one.renumbered(one.index + offset, one.faces.track_id)
                for one in head
                if one.index + offset < segment.begin
            ]
            self._ids.start_segment(previous, warmup)
            frames = chain(head[len(warmup) :], frames)
        for one in frames:
            index = one.index + offset
            if segment.end is not None and index >= segment.end:
                return
            next_index = index + 1
            yield one.renumbered(index, self._ids.map(one.faces.track_id))
        attempt.has_video_end = segment.end is None or next_index < segment.end

    def _retry_counted(self, number: int) -> None:
        """Queue a segment again, to be reached by counting: its times do not locate it."""
        with self._changed:
            segment = self._attempts[number].segment
            self._attempts[number] = _Attempt(number, segment, is_counted=True)
            self._todo.appendleft(self._attempts[number])
            if not self._running:
                self._fail_todo()
            self._changed.notify_all()

    def _received_frames(self, attempt: _Attempt) -> Iterator[FrameResult]:
        """Yield the frames that a process sends of a segment."""
        while True:
            kind, value = self._next_message(attempt)
            if kind == "frames":
                yield from value
            elif kind == "end":
                self.notes += [note for note in value if note not in self.notes]
                return
            elif kind == "source":
                raise SourceError(value)
            elif kind == "died":
                raise SourceError(
                    f"{self._settings.uri}: the process that analyzed it from frame"
                    f" {attempt.segment.warmup_start} died by {value}; earlier frames are kept,"
                    " continue with --resume"
                )
            else:
                raise BackendError(value)

    def _next_message(self, attempt: _Attempt) -> _Message:
        while True:
            analyzed = self._analyzed
            if analyzed > self._reported:
                self._on_progress(analyzed - self._reported)
                self._reported = analyzed
            with suppress(queue.Empty):
                return attempt.messages.get(timeout=_REPORT_INTERVAL_S)

    def _close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for process in list(self._processes):
            process.kill()

    def _feed_worker(self) -> None:
        """Body of one thread: feeds one process, and starts a new one if that dies."""
        process: WorkerProcess | None = None
        try:
            while (attempt := self._next_attempt()) is not None:
                try:
                    process = process or self._start()
                    kind = self._analyze(process, attempt)
                except Exception as error:  # whatever it is, the run must end with words
                    message = f"a worker process failed: {describe_error(error)}"
                    attempt.messages.put(("stop", message))
                    return
                if kind == "died":
                    self._processes.discard(process)
                    process = None
        finally:
            if process is not None:
                self._processes.discard(process)
                process.close()
            self._end_worker()

    def _analyze(self, process: WorkerProcess, attempt: _Attempt) -> str:
        """Pass on what a process sends of a segment; return the kind of the last message."""
        process.send(asdict(attempt.task(self._fps)))
        kind = "frames"
        while kind == "frames":
            kind, value = self._receive(process, attempt)
            attempt.messages.put((kind, value))
        return kind

    def _end_worker(self) -> None:
        """Fail the segments that nobody is left to analyze."""
        with self._changed:
            self._running -= 1
            if not self._running and not self._is_closed:
                self._fail_todo()

    def _fail_todo(self) -> None:
        for attempt in self._todo:
            attempt.messages.put(("stop", "no worker process is left; use fewer --jobs"))

    def _next_attempt(self) -> _Attempt | None:
        """Wait for a segment that is near its turn; None once the video is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._is_due())
            return None if self._is_closed else self._todo.popleft()

    def _is_due(self) -> bool:
        max_number = self._current + _MAX_AHEAD * self._jobs
        return bool(self._todo) and self._todo[0].number < max_number

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(self._command)
        self._processes.add(process)
        process.send(self._settings.as_json())
        if self._is_closed:  # after the caller's check
            process.kill()
        return process

    def _receive(self, process: WorkerProcess, attempt: _Attempt) -> _Message:
        message = process.receive()
        if message is None:
            return _died(process)
        kind, value = message
        if kind != "frames":
            return kind, value
        content = process.receive_bytes(value)
        if len(content) < value:
            return _died(process)
        frames = list(unpack(content))
        with self._changed:
            self._analyzed += sum(one.index >= attempt.segment.begin for one in frames)
        return kind, frames


def _start_all(threads: Sequence[threading.Thread]) -> None:
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as error:
        raise BackendError(f"a thread cannot be started ({error}); use fewer --jobs") from None


def _died(process: WorkerProcess) -> _Message:
    process.kill()  # it may still run, with its output closed
    return "died", process.exit_reason()


def _until(frames: Iterator[FrameResult], index: int) -> Iterator[FrameResult]:
    """Yield frames up to and including the first one whose number is at least `index`."""
    for one in frames:
        yield one
        if one.index >= index:
            return
