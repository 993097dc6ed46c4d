"""The source of the server: WebSocket /v1/watch for pages, GET /v1/events for programs."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response, StreamingResponse

from faceaffect.live.results import Problem
from faceaffect.live.service import service_of
from faceaffect.live.source_runner import SourceRunner, Viewer, csv_header

router = APIRouter()
IN_FLIGHT: Final = 2
"""Messages that a page may be behind before it gets no more."""
_LENGTH: Final = struct.Struct("<I")
_NO_SOURCE: Final = 4004
_HEARTBEAT_S: Final = 15.0


class WatchSession:
    """One viewer: a page, which confirms messages and gets the newest one then, or a program."""

    def __init__(self, socket: WebSocket, runner: SourceRunner, takes_images: bool) -> None:
        """Serve `socket`, with images or with results only."""
        self._socket = socket
        self._runner = runner
        self._viewer = Viewer(takes_images)
        self._credit = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Serve until the viewer goes."""
        self._runner.add(self._viewer)
        tasks = [asyncio.create_task(self._receive_all()), asyncio.create_task(self._send_all())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._runner.remove(self._viewer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive_all(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                message = json.loads(text)
                kind, is_on = message["type"], message.get("on", True) is True
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            if kind == "ack":
                self._credit.release()
            elif kind == "baseline":
                self._runner.set_baseline(is_on)
            elif kind == "replay":
                self._runner.replay()
            elif kind == "rows":
                self._viewer.takes_rows = is_on
                await self._send(
                    {"type": "done", "of": "rows", "on": is_on, "header": csv_header()}
                )

    async def _send_all(self) -> None:
        await self._send({"type": "state", "source": self._runner.state})
        while True:
            if self._viewer.takes_images:
                await self._credit.acquire()
            message, rows = await self._viewer.take()
            text = message.text
            if rows or self._viewer.takes_rows:
                text = f'{text[:-1]},"rows":{json.dumps(rows)}}}'
            if not self._viewer.takes_images:
                await self._socket.send_text(text)
                continue
            head = text.encode()
            await self._socket.send_bytes(_LENGTH.pack(len(head)) + head + message.image)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(message))


@router.websocket("/v1/watch")
async def watch(socket: WebSocket, images: bool = True) -> None:
    """Send the server's source; docs/live.md describes the messages.

    Args:
        socket: The viewer.
        images: Whether to send images with the results, for pages; results are sent as JSON else.
    """
    await socket.accept()
    runner = service_of(socket).runner
    if runner is None:
        await socket.close(_NO_SOURCE, "the server has no source")
        return
    with suppress(WebSocketDisconnect, RuntimeError, KeyError):
        await WatchSession(socket, runner, images).run()


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `result` (see FrameResult) and `state`, without end unless"
            " `count` is given",
            "content": {"text/event-stream": {"example": 'event: result\ndata: {"id": 3}\n\n'}},
        },
        404: {"model": Problem, "description": "The server has no source"},
        422: {"model": Problem, "description": "A parameter is wrong"},
    },
    tags=["source"],
)
async def events(
    request: Request,
    count: Annotated[int | None, Query(ge=1, le=1_000_000, description="Results to send")] = None,
) -> Response:
    """Stream the results of the server's source as server-sent events."""
    runner = service_of(request).runner
    if runner is None:
        problem = {"code": "no_source", "message": "start it with `faceaffect live SOURCE`"}
        return JSONResponse(problem, 404)
    return StreamingResponse(_events(runner, count), media_type="text/event-stream")


async def _events(runner: SourceRunner, count: int | None) -> AsyncIterator[str]:
    viewer = Viewer(takes_images=False)
    runner.add(viewer)
    try:
        yield f"event: state\ndata: {json.dumps(runner.state)}\n\n"
        while count is None or count > 0:
            try:
                message, _ = await asyncio.wait_for(viewer.take(), _HEARTBEAT_S)
            except asyncio.TimeoutError:
                yield ": still here\n\n"
                continue
            is_result = message.text.startswith('{"type":"result"')
            yield f"event: {'result' if is_result else 'state'}\ndata: {message.text}\n\n"
            if count is not None:
                count -= is_result
    finally:
        runner.remove(viewer)
