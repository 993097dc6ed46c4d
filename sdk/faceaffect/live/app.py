"""The application: routes behind the gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from faceaffect import __version__
from faceaffect.live import image_routes, info_routes, stream_routes, video_routes, watch_routes
from faceaffect.live.access import App, Gate
from faceaffect.live.request_body import RefusedRequestError
from faceaffect.live.service import Service
from faceaffect.live.settings import LiveSettings

_DESCRIPTION: Final = """\
Facial action units, expressions, valence and arousal of every face in images and video.
Streams of frames go over the WebSocket `/v1/stream`; the page "Live and serving" describes it."""
_SWEEP_S: Final = 15.0


def create_app(settings: LiveSettings) -> tuple[App, Service]:
    """Open the model and build the application.

    Returns:
        The ASGI application, and its parts.

    Raises:
        BundleError: The model is missing or damaged.
        BackendError: The backend cannot run.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if service.runner is not None:
            service.runner.start(asyncio.get_running_loop())
        sweeper = asyncio.create_task(_sweep(service))
        service.is_ready = True
        try:
            yield
        finally:
            service.is_ready = False
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await asyncio.to_thread(service.close)

    app = FastAPI(
        title="faceaffect",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    for module in (image_routes, video_routes, watch_routes, stream_routes, info_routes):
        app.include_router(module.router)
    app.add_exception_handler(RefusedRequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unknown)
    return Gate(app, service.access, settings, service.metrics), service


async def _sweep(service: Service) -> None:
    """Delete uploads whose time is up, also while nobody asks for them."""
    while True:
        await asyncio.sleep(_SWEEP_S)
        service.jobs.delete_expired()


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedRequestError)
    request.app.state.service.metrics.refused.labels(error.code).inc()
    headers = {"retry-after": "1"} if error.status == 503 else {}
    return JSONResponse({"code": error.code, "message": str(error)}, error.status, headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"code": "invalid", "message": f"{where}: {first['msg']}"}, 422)


async def _unknown(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    content = {"code": "http", "message": str(error.detail)}
    return JSONResponse(content, error.status_code, error.headers)
