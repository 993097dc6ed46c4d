"""Distributes inputs to processes of this machine, one input at a time each."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

from faceaffect.batch.file_task import (
    BatchError,
    Event,
    FileResult,
    FramesDone,
    Input,
    TaskSettings,
)
from faceaffect.system.worker_process import WorkerProcess, describe_error

WORKER: Final = (sys.executable, "-m", "faceaffect.batch.worker")
_MAX_ATTEMPTS: Final = 2  # an input that has killed so many processes fails
_JOIN_TIMEOUT_S: Final = 2.0
_KILL_GRACE_S: Final = 2.0


class _StartError(BatchError):
    """A process died before it could analyze anything."""


class ProcessPool:
    """Pool of worker processes.

    Processes and not threads: a corrupt file that crashes a decoder ends one process, not the run.
    """

    def __init__(
        self,
        settings: TaskSettings,
        jobs: int,
        command: Sequence[str] = WORKER,
        kill_grace_s: float = _KILL_GRACE_S,
    ) -> None:
        """Plan the processes; they start with `run`.

        Args:
            settings: Settings of the processes.
            jobs: Maximum number of processes.
            command: Command line of a process.
            kill_grace_s: Time after `settings.file_timeout_s` in which a process may end an input
                by itself before it is killed.
        """
        self._settings = settings
        self._kill_grace_s = kill_grace_s
        self._jobs = jobs
        self._command = command
        self._events: queue.SimpleQueue[Event | BatchError | None] = queue.SimpleQueue()
        self._tasks: queue.SimpleQueue[Input] = queue.SimpleQueue()
        self._workers: set[WorkerProcess] = set()
        self._is_closed = threading.Event()

    def run(self, tasks: Sequence[Input]) -> Iterator[Event]:
        """Yield events as they come; each task ends in one FileResult.

        Leaving it early, by an exception or by closing the iterator, kills the workers at once.

        Raises:
            BatchError: If a worker reports that no input can be analyzed.
        """
        for task in tasks:
            self._tasks.put(task)
        threads = [
            threading.Thread(target=self._feed_worker, daemon=True)
            for _ in range(min(self._jobs, len(tasks)))
        ]
        try:
            _start_all(threads)
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
                if thread.ident is not None:
                    thread.join(_JOIN_TIMEOUT_S)

    def _close(self) -> None:
        self._is_closed.set()
        for worker in list(self._workers):
            worker.kill()

    def _feed_worker(self) -> None:
        """Body of one thread: feeds one process, and starts a new one if that dies."""
        worker: WorkerProcess | None = None
        try:
            while not self._is_closed.is_set():
                try:
                    task = self._tasks.get_nowait()
                except queue.Empty:
                    break
                for attempt in range(1, _MAX_ATTEMPTS + 1):
                    worker = worker or self._start_with_retry()
                    result, is_late = self._analyze_in_time(worker, task)
                    if result is None:
                        self._workers.discard(worker)
                        reason, worker = worker.exit_reason(), None
                        if self._is_closed.is_set():
                            return
                        if is_late:
                            result = FileResult(task.uri, task.name, error=self._late(task))
                        elif attempt == _MAX_ATTEMPTS:
                            error = (
                                f"{task.uri}: {_MAX_ATTEMPTS} processes died on it, the last one"
                                f" by {reason}"
                            )
                            result = FileResult(task.uri, task.name, error=error)
                    if result is not None:
                        self._events.put(result)
                        break
        except BatchError as error:
            self._events.put(error)
        except Exception as error:  # whatever it is, the run must end with words
            self._events.put(BatchError(f"a worker process failed: {describe_error(error)}"))
        finally:
            if worker is not None:
                worker.close()
                self._workers.discard(worker)
            self._events.put(None)

    def _start_with_retry(self) -> WorkerProcess:
        """Start a process; one that dies while it starts is replaced once."""
        try:
            return self._start()
        except _StartError:
            return self._start()

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self._command)
        worker.send(self._settings.as_json())
        self._workers.add(worker)
        if self._is_closed.is_set():  # closed after the caller's check
            worker.kill()
        message = worker.receive()
        if message is None:
            if not self._is_closed.is_set():
                self._workers.discard(worker)
                raise _StartError(f"a worker process failed to start: {worker.exit_reason()}")
        elif message[0] == "stop":
            raise BatchError(str(message[1]))
        return worker

    def _late(self, task: Input) -> str:
        return (
            f"{task.uri}: took longer than --file-timeout {self._settings.file_timeout_s:g} seconds"
        )

    def _analyze_in_time(
        self, worker: WorkerProcess, task: Input
    ) -> tuple[FileResult | None, bool]:
        """Return the result of an input and whether its process was killed for taking too long."""
        timeout_s = self._settings.file_timeout_s
        if not timeout_s:
            return self._analyze(worker, task), False
        is_late = threading.Event()

        def kill() -> None:
            is_late.set()
            worker.kill()

        timer = threading.Timer(timeout_s + self._kill_grace_s, kill)
        timer.daemon = True
        timer.start()
        try:
            result = self._analyze(worker, task)
            return result, is_late.is_set()
        finally:
            timer.cancel()

    def _analyze(self, worker: WorkerProcess, task: Input) -> FileResult | None:
        """Return the result of an input; None if the process died."""
        worker.send(asdict(task))
        while (message := worker.receive()) is not None:
            kind, value = message
            if kind == "frames":
                self._events.put(FramesDone(int(value)))
            elif kind == "result":
                return FileResult(**value)
            elif kind == "stop":
                raise BatchError(str(value))
            else:
                return None
        return None


def _start_all(threads: Sequence[threading.Thread]) -> None:
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as error:
        raise BatchError(f"a thread cannot be started ({error}); use fewer --jobs") from None
