"""State of the server, the session of a page, and the static files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from faceaffect.live.access import COOKIE
from faceaffect.live.results import ModelResult, Problem
from faceaffect.live.service import service_of

router = APIRouter()
_STATIC: Final = Path(__file__).parent / "static"
_THEME: Final = Path(__file__).parents[1] / "pages" / "theme.css"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Named here one by one: no part of an address ever becomes part of a path.
_FILES: Final = {
    "/": _STATIC / "index.html",
    "/docs": _STATIC / "docs.html",
    "/static/theme.css": _THEME,
    "/favicon.ico": _STATIC / "icon.svg",
    **{f"/static/{path.name}": path for path in sorted(_STATIC.iterdir()) if path.is_file()},
}
_TEXT: Final[dict[int | str, Any]] = {200: {"content": {"text/plain": {}}}}


def _serve(path: Path) -> Any:
    async def serve() -> Response:
        media_type = _MEDIA_TYPES[path.suffix]
        return FileResponse(path, media_type=media_type, headers={"cache-control": "no-cache"})

    return serve


for _address, _path in _FILES.items():
    router.add_api_route(_address, _serve(_path), methods=["GET"], include_in_schema=False)


@router.get("/v1/model", tags=["server"])
async def model(request: Request) -> ModelResult:
    """Describe the model, the source and the limits."""
    return service_of(request).model()


@router.post(
    "/v1/session",
    status_code=204,
    responses={401: {"model": Problem, "description": "The token is wrong"}},
    tags=["server"],
)
async def session(request: Request) -> Response:
    """Exchange the token in `Authorization` for a cookie that pages send by themselves."""
    service = service_of(request)
    headers = {key.lower(): value for key, value in request.headers.items()}
    if not service.access.is_known(headers):
        problem = {"code": "no_token", "message": "expected `Authorization: Bearer TOKEN`"}
        return JSONResponse(problem, 401, {"www-authenticate": "Bearer"})
    response = Response(status_code=204)
    if service.settings.token:
        response.set_cookie(
            COOKIE,
            service.access.session(),
            httponly=True,
            samesite="strict",
            secure=bool(service.settings.tls_cert),
        )
    return response


@router.get("/healthz", response_class=PlainTextResponse, responses=_TEXT, tags=["server"])
async def healthz() -> PlainTextResponse:
    """Tell that the process answers."""
    return PlainTextResponse("ok\n")


@router.get(
    "/readyz",
    response_class=PlainTextResponse,
    responses={**_TEXT, 503: {"content": {"text/plain": {}}, "description": "Not ready"}},
    tags=["server"],
)
async def readyz(request: Request) -> PlainTextResponse:
    """Tell whether there is room for another stream, and the source has not failed."""
    service = service_of(request)
    source = None if service.runner is None else service.runner.state["state"]
    if not service.is_ready or source == "failed":
        return PlainTextResponse("the source has failed\n" if source else "starting\n", 503)
    if service.pool.lent >= service.settings.limits.streams:
        return PlainTextResponse("all streams are taken\n", 503)
    return PlainTextResponse("ready\n")


@router.get("/metrics", response_class=PlainTextResponse, responses=_TEXT, tags=["server"])
async def metrics(request: Request) -> Response:
    """Return metrics for Prometheus."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
