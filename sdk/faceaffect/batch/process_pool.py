"""Tasks shared out to processes of this machine, one task at a time each."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from faceaffect.batch.file_task import (
    BatchError,
    Event,
    FileResult,
    FramesDone,
    Input,
    TaskSettings,
)
from faceaffect.system.worker_process import WorkerProcess

WORKER: Final = (sys.executable, "-m", "faceaffect.batch.worker")
_TRIES: Final = 2  # a file on which two processes in a row have died is not given to a third
_END_S: Final = 2.0


class ProcessPool:
    """Processes and not threads: a damaged file that brings down a decoder takes one process with
    it, not the run.

    They are sessions of their own, so that Ctrl-C reaches this process alone.
    """

    def __init__(self, settings: TaskSettings, jobs: int, command: Sequence[str] = WORKER) -> None:
        self._settings, self._jobs, self._command = settings, jobs, command
        self._events: queue.SimpleQueue[Event | BatchError | None] = queue.SimpleQueue()
        self._tasks: queue.SimpleQueue[Input] = queue.SimpleQueue()
        self._workers: set[_Worker] = set()
        self._is_closed = threading.Event()

    def run(self, tasks: Sequence[Input]) -> Iterator[Event]:
        """Events as they come; each task ends in one outcome. Raises BatchError where a worker says
        that all must stop.

        Leaving it early, by an exception or by closing the iterator, ends the workers at once.
        """
        for task in tasks:
            self._tasks.put(task)
        threads = [
            threading.Thread(target=self._serve, daemon=True)
            for _ in range(min(self._jobs, len(tasks)))
        ]
        try:
            for thread in threads:
                thread.start()
            running = len(threads)
            while running:
                event = self._events.get()
                if event is None:
                    running -= 1
                elif isinstance(event, BatchError):
                    raise event
                else:
                    yield event
        finally:
            self._close()
            for thread in threads:
                thread.join(_END_S)

    def _close(self) -> None:
        self._is_closed.set()
        for worker in list(self._workers):
            worker.kill()

    def _serve(self) -> None:
        """The life of one thread: it feeds one process, and a new one where that died."""
        worker: _Worker | None = None
        try:
            while not self._is_closed.is_set():
                try:
                    task = self._tasks.get_nowait()
                except queue.Empty:
                    break
                for trial in range(1, _TRIES + 1):
                    worker = worker or self._start()
                    outcome = self._hand_over(worker, task)
                    if outcome is None:
                        self._workers.discard(worker)
                        died, worker = worker.exit_reason(), None
                        if self._is_closed.is_set():
                            return
                        if trial == _TRIES:
                            error = (
                                f"{task.uri}: {_TRIES} processes died on it, the last one by {died}"
                            )
                            outcome = FileResult(task.uri, task.name, error=error)
                    if outcome is not None:
                        self._events.put(outcome)
                        break
        except BatchError as error:
            self._events.put(error)
        finally:
            if worker is not None:
                worker.close()
                self._workers.discard(worker)
            self._events.put(None)

    def _start(self) -> _Worker:
        worker = _Worker(self._settings, self._command)
        self._workers.add(worker)
        if self._is_closed.is_set():  # closed between the test above and now
            worker.kill()
        kind, value = worker.answer()
        if kind == "stop":
            raise BatchError(str(value))
        if kind == "died" and not self._is_closed.is_set():
            raise BatchError(f"a worker process did not start, it ended by {worker.exit_reason()}")
        return worker

    def _hand_over(self, worker: _Worker, task: Input) -> FileResult | None:
        """None where the process died."""
        worker.send(asdict(task))
        while True:
            kind, value = worker.answer()
            if kind == "frames":
                self._events.put(FramesDone(int(value)))
            elif kind == "outcome":
                return FileResult(**value)
            elif kind == "stop":
                raise BatchError(str(value))
            else:
                return None


class _Worker(WorkerProcess):
    """A process that answers by lines of JSON."""

    def __init__(self, settings: TaskSettings, command: Sequence[str]) -> None:
        super().__init__(command)
        self.send(settings.as_json())

    def answer(self) -> tuple[str, Any]:
        """Kind and value of its next line; `died` where there is none."""
        return self.receive() or ("died", None)
