"""WebSocket /v1/stream: the frames of a client in, their results out."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from faceaffect.live.batched_streams import StreamPipeline
from faceaffect.live.pipeline_pool import Analyzed, BusyError
from faceaffect.live.results import FrameResult, face_results
from faceaffect.live.service import Service, service_of
from faceaffect.live.source_runner import csv_header, csv_rows
from faceaffect.live.stream_messages import (
    Command,
    FrameMessage,
    MessageError,
    parse_binary,
    parse_text,
    problem_of,
)
from faceaffect.types import Frame

log = logging.getLogger("faceaffect")

router = APIRouter()
QUEUE_LENGTH: Final = 2
"""Frames that wait per client, besides the one that is analyzed."""
MAX_QUEUED: Final = 16
"""Frames and commands that wait; a client that sends more is not read."""
MAX_DROPPED_IDS: Final = 1000
_TRY_AGAIN: Final = 1013
_IDLE: Final = 4008
_KIND: Final = "stream"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame in the queue."""

    id: int
    time_s: float
    message: FrameMessage
    received_ns: int


class StreamSession:
    """One connection: a receiver fills a short queue, a worker empties it."""

    def __init__(self, socket: WebSocket, service: Service, drops: bool) -> None:
        """Serve `socket`; `drops` is whether newer frames replace those that wait."""
        self._socket = socket
        self._service = service
        self._drops = drops
        self._queue: deque[_Waiting | Command] = deque()
        self._frames_waiting = 0
        self._changed = asyncio.Condition()
        self._count = 0
        self._dropped = 0
        self._dropped_ids: list[int] = []
        self._has_rows = False
        self._baseline = False
        self._started_ns = time.perf_counter_ns()

    async def run(self) -> None:
        """Serve until the client goes, or sends nothing for too long."""
        await self._send(
            {
                "type": "hello",
                "model": self._service.model(),
                "queue": QUEUE_LENGTH,
                "policy": "newest" if self._drops else "all",
            }
        )
        first = asyncio.create_task(self._receive_all())
        second = asyncio.create_task(self._analyze_all())
        try:
            done, _ = await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (first, second):
                task.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    async def _receive_all(self) -> None:
        limits = self._service.settings.limits
        while True:
            message = await asyncio.wait_for(self._socket.receive(), limits.idle_s)
            if message["type"] != "websocket.receive":
                raise WebSocketDisconnect
            content = message.get("bytes")
            try:
                if content is not None:
                    parsed: FrameMessage | Command = parse_binary(content, limits)
                else:
                    parsed = parse_text(message.get("text") or "", limits)
            except MessageError as error:
                await self._refuse(error, None)
                continue
            await self._put(parsed)

    async def _put(self, message: FrameMessage | Command) -> None:
        async with self._changed:
            if isinstance(message, Command):
                await self._changed.wait_for(lambda: len(self._queue) < MAX_QUEUED)
                self._queue.append(message)
                self._changed.notify_all()
                return
            if self._drops:
                while self._frames_waiting >= QUEUE_LENGTH:
                    self._drop_oldest()
            else:  # the client is not read until there is room: it cannot send more either
                await self._changed.wait_for(lambda: self._frames_waiting < QUEUE_LENGTH)
            now_ns = time.perf_counter_ns()
            number = self._count if message.id is None else message.id
            time_s = (now_ns - self._started_ns) / 1e9 if message.time_s is None else message.time_s
            self._count += 1
            self._queue.append(_Waiting(number, time_s, message, now_ns))
            self._frames_waiting += 1
            self._changed.notify_all()

    def _drop_oldest(self) -> None:
        oldest = next(one for one in self._queue if isinstance(one, _Waiting))
        self._queue.remove(oldest)
        self._frames_waiting -= 1
        self._dropped += 1
        self._dropped_ids.append(oldest.id)
        del self._dropped_ids[:-MAX_DROPPED_IDS]
        self._service.metrics.dropped.labels(_KIND).inc()

    async def _take(self) -> _Waiting | Command:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._queue))
            item = self._queue.popleft()
            self._frames_waiting -= isinstance(item, _Waiting)
            self._changed.notify_all()
            return item

    async def _analyze_all(self) -> None:
        item = await self._take()
        async with self._service.pool.lend() as pipeline:
            while True:
                if isinstance(item, Command):
                    await self._obey(item, pipeline)
                else:
                    await self._analyze(item, pipeline)
                item = await self._take()

    async def _obey(self, command: Command, pipeline: StreamPipeline) -> None:
        answer: dict[str, Any] = {"type": "done", "of": command.name, "on": command.is_on}
        if command.name == "reset":
            await self._service.pool.run(pipeline.reset, True)
        elif command.name == "rows":
            self._has_rows = command.is_on
            answer["header"] = csv_header()
        elif pipeline.spec.au_neutral_logits is None:
            answer["on"] = False
        else:
            await self._service.pool.run(pipeline.restart_neutral_baseline, command.is_on)
            self._baseline = command.is_on
        await self._send(answer)

    async def _analyze(self, item: _Waiting, pipeline: StreamPipeline) -> None:
        pool = self._service.pool

        def decode() -> Frame:
            return replace(item.message.decode(), time_s=item.time_s, index=item.id, source=_KIND)

        try:
            analyzed = await pool.run(pool.analyze, _KIND, pipeline, decode, item.received_ns)
        except Exception as error:  # one odd frame must not end the stream
            if not isinstance(error, ValueError):
                log.warning("faceaffect: %s: %s", type(error).__name__, error)
            await self._refuse(error, item.id)
            return
        await self._send(self._result(item, analyzed))

    def _result(self, item: _Waiting, analyzed: Analyzed) -> dict[str, Any]:
        result: FrameResult = {
            "type": "result",
            "id": item.id,
            "time_s": round(item.time_s, 6),
            "width": analyzed.frame.width_px,
            "height": analyzed.frame.height_px,
            "faces": face_results(analyzed.faces, analyzed.affect),
            "timing": analyzed.timing,
            "dropped": self._dropped,
        }
        if self._dropped_ids:
            result["dropped_ids"], self._dropped_ids = self._dropped_ids, []
        if self._has_rows:
            result["rows"] = csv_rows(analyzed.frame, analyzed)
        return {**result, "baseline": self._baseline}

    async def _refuse(self, error: Exception, number: int | None) -> None:
        problem = problem_of(error)
        self._service.metrics.refused.labels(problem["code"]).inc()
        await self._send({"type": "error", "id": number, **problem})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(message, separators=(",", ":"), allow_nan=False))


@router.websocket("/v1/stream")
async def stream(socket: WebSocket, policy: Literal["newest", "all"] = "newest") -> None:
    """Analyze the frames that a client sends; docs/live.md describes the messages."""
    await socket.accept()
    service = service_of(socket)
    try:
        await StreamSession(socket, service, drops=policy == "newest").run()
    except BusyError as error:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(
                json.dumps({"type": "error", "id": None, "code": "busy", "message": str(error)})
            )
            await socket.close(_TRY_AGAIN, "busy")
    except asyncio.TimeoutError:
        with suppress(RuntimeError, WebSocketDisconnect):
            idle_s = math.ceil(service.settings.limits.idle_s)
            await socket.close(_IDLE, f"no frame for {idle_s} seconds")
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client has gone
