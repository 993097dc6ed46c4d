"""A video shared out to processes, and its results in one piece."""

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
from faceaffect.segments.task import PAST_THE_END, StretchSettings, StretchTask
from faceaffect.sources.source import SourceError
from faceaffect.system.worker_process import WorkerProcess

WORKER: Final = (sys.executable, "-m", "faceaffect.segments.worker")
_AHEAD: Final = 2  # stretches a process that may be under way or done before their turn
_TELL_EVERY_S: Final = 0.2
_END_S: Final = 2.0

_Answer = tuple[
    str, Any
]  # "frames" and a list of Analyzed, "died" and how, or a kind of worker.py and its value


@dataclass(slots=True)
class _Work:
    """One try at a stretch. It is sought by time; where that has failed, and in the first one,
    frames are counted.
    """

    number: int
    stretch: Segment
    is_counted: bool
    answers: queue.SimpleQueue[_Answer] = field(default_factory=queue.SimpleQueue)
    is_over: bool = False  # the video ended in it

    def task(self, fps: float) -> StretchTask:
        start = self.stretch.warmup_start
        return StretchTask(start, self.stretch.end, 0.0 if self.is_counted else start / fps)


class ParallelVideo:
    """Results of a video's frames in their order, as `jobs` processes find them. To be iterated
    once.

    Raises SourceError where the video cannot be read, or where a process died on it, and
    BackendError where the network cannot run, each after the frames before it. Leaving the
    iteration ends the processes.
    """

    def __init__(
        self,
        settings: StretchSettings,
        stretches: Sequence[Segment],
        fps: float,
        jobs: int,
        *,
        ids_after: int = 0,
        report: Callable[[int], None] = lambda frames: None,
        command: Sequence[str] = WORKER,
    ) -> None:
        """`ids_after` is the last track id given before; `report` gets how many frames were
        analyzed since its last call.
        """
        self._settings, self._fps, self._command, self._report = settings, fps, command, report
        self._work = [
            _Work(number, stretch, is_counted=number == 0)
            for number, stretch in enumerate(stretches)
        ]
        self._jobs = min(jobs, len(self._work))
        self._ids = TrackIdMapper(ids_after + 1)
        self._change = threading.Condition()  # of what follows
        self._todo = deque(self._work)
        self._turn = 0  # number of the stretch whose frames are given out
        self._analyzed = self._told = 0
        self._is_closed = False
        self._processes: set[WorkerProcess] = set()
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[FrameResult]:
        threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(self._jobs)]
        try:
            for thread in threads:
                thread.start()
            last: list[FrameResult] = []
            for number in range(len(self._work)):
                with self._change:
                    self._turn = number
                    self._change.notify_all()
                own: deque[FrameResult] = deque(
                    maxlen=1 + max(work.stretch.warm_frames for work in self._work)
                )
                for one in self._of(number, last):
                    own.append(one)
                    yield one
                last = list(own)
                if self._work[number].is_over:
                    break
        finally:
            self._close()
            for thread in threads:
                thread.join(_END_S)

    def _of(self, number: int, before: list[FrameResult]) -> Iterator[FrameResult]:
        """The frames of one stretch under their final numbers and ids; `before` are the last ones
        of the stretch before.
        """
        work = self._work[number]
        stretch, shift, next_index = work.stretch, 0, work.stretch.begin
        frames = self._frames(work)
        if number:
            head = list(_up_to(frames, stretch.begin + PAST_THE_END))
            found = frame_offset(before, head)
            if not work.is_counted and (found is None or found < -PAST_THE_END):
                self._count(number)
                yield from self._of(number, before)
                return
            shift = 0 if work.is_counted or found is None else found
            early = [
                one.at(one.index + shift, one.faces.track_id)
                for one in head
                if one.index + shift < stretch.begin
            ]
            self._ids.begin(before, early)
            frames = chain(head[len(early) :], frames)
        for one in frames:
            index = one.index + shift
            if stretch.end is not None and index >= stretch.end:
                return
            next_index = index + 1
            yield one.at(index, self._ids.of(one.faces.track_id))
        work.is_over = stretch.end is None or next_index < stretch.end

    def _count(self, number: int) -> None:
        """Have a stretch done again, counted from the video's first frame on: its times did not
        tell where it begins.
        """
        with self._change:
            self._work[number] = _Work(number, self._work[number].stretch, is_counted=True)
            self._todo.appendleft(self._work[number])
            self._change.notify_all()

    def _frames(self, work: _Work) -> Iterator[FrameResult]:
        """What a process says of a stretch."""
        uri = self._settings.uri
        while True:
            kind, value = self._next(work)
            if kind == "frames":
                yield from value
            elif kind == "end":
                self.notes += [note for note in value if note not in self.notes]
                return
            elif kind == "source":
                raise SourceError(value)
            elif kind == "died":
                raise SourceError(
                    f"{uri}: the process that analyzed it from frame {work.stretch.warmup_start} on died by {value}; what came "
                    "before is kept, --resume goes on after it"
                )
            else:
                raise BackendError(value)

    def _next(self, work: _Work) -> _Answer:
        while True:
            done = self._analyzed
            if done > self._told:
                self._report(done - self._told)
                self._told = done
            with suppress(queue.Empty):
                return work.answers.get(timeout=_TELL_EVERY_S)

    def _close(self) -> None:
        with self._change:
            self._is_closed = True
            self._change.notify_all()
        for process in list(self._processes):
            process.kill()

    def _serve(self) -> None:
        """The life of one thread: it feeds one process, and a new one where that died."""
        process: WorkerProcess | None = None
        while (work := self._take()) is not None:
            process = process or self._start()
            process.send(asdict(work.task(self._fps)))
            kind = "frames"
            while kind == "frames":
                kind, value = self._answer(process, work)
                work.answers.put((kind, value))
            if kind == "died":
                self._processes.discard(process)
                process = None
        if process is not None:
            self._processes.discard(process)
            process.close()

    def _take(self) -> _Work | None:
        """The next stretch, once it is near enough to its turn; None when there is nothing to do
        any more.
        """
        with self._change:
            self._change.wait_for(lambda: self._is_closed or self._is_near())
            return None if self._is_closed else self._todo.popleft()

    def _is_near(self) -> bool:
        return bool(self._todo) and self._todo[0].number < self._turn + _AHEAD * self._jobs

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(self._command)
        self._processes.add(process)
        process.send(self._settings.as_json())
        if self._is_closed:  # since it was taken
            process.kill()
        return process

    def _answer(self, process: WorkerProcess, work: _Work) -> _Answer:
        line = process.receive()
        if line is None:
            return self._died(process)
        kind, value = line
        if kind != "frames":
            return kind, value
        content = process.receive_bytes(value)
        if len(content) < value:
            return self._died(process)
        frames = list(unpack(content))
        with self._change:
            self._analyzed += sum(one.index >= work.stretch.begin for one in frames)
        return kind, frames

    @staticmethod
    def _died(process: WorkerProcess) -> _Answer:
        process.kill()  # one that speaks no more is waited for
        return "died", process.exit_reason()


def _up_to(frames: Iterator[FrameResult], index: int) -> Iterator[FrameResult]:
    """Frames up to the first one of number `index` or later, that one included."""
    for one in frames:
        yield one
        if one.index >= index:
            return
