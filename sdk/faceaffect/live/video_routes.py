"""POST /v1/videos and the jobs that it starts."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from faceaffect.live import examples
from faceaffect.live.request_body import RefusedRequestError, chunks_of
from faceaffect.live.results import JobResult, Problem
from faceaffect.live.service import Service, service_of
from faceaffect.live.video_jobs import FILES, VIDEO, Job, Output, TooManyJobsError
from faceaffect.pages import missing_packages

router = APIRouter(
    tags=["videos"], responses={422: {"model": Problem, "description": "A parameter is wrong"}}
)
REPORT_POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; img-src data:; media-src data:; font-src data:"
)
"""Pages about uploads run apart from this site: their scripts cannot use the API."""
_MEDIA_TYPES: Final[dict[str, str]] = {
    "rows": "text/csv; charset=utf-8",
    "report": "text/html; charset=utf-8",
    "overlay": "video/mp4",
}
_UNSAFE_CHARACTERS: Final = re.compile(r"[^\w .()-]")
_ID: Final = r"^[A-Za-z0-9_-]{24}$"
JobId = Annotated[str, Path(pattern=_ID, description="`id` of the answer to the upload")]
_NOT_FOUND: Final[dict[int | str, Any]] = {
    404: {"model": Problem, "description": "No such job, or it has expired"}
}


@router.post(
    "/v1/videos",
    status_code=202,
    response_model=JobResult,
    responses={
        202: examples.JOB,
        400: {"model": Problem, "description": "The client has gone, or the body is empty"},
        408: {"model": Problem, "description": "The body came too slowly"},
        413: {"model": Problem, "description": "Too large"},
        501: {"model": Problem, "description": "A package for reports is missing"},
        503: {"model": Problem, "description": "Too many videos wait; try again"},
        507: {"model": Problem, "description": "The disk of the server is full"},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The video file itself",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary", "minLength": 1}
                }
            },
        }
    },
)
async def upload(
    request: Request,
    name: Annotated[
        str, Query(max_length=80, description="Name in rows and report; no path")
    ] = "video",
    report: Annotated[bool, Query(description="Write a report, too")] = False,
    overlay: Annotated[bool, Query(description="Write an annotated video, too")] = False,
) -> Response:
    """Upload a video; a job analyzes it."""
    service = service_of(request)
    outputs: list[Output] = ["rows"]
    if report:
        if missing := missing_packages():
            raise RefusedRequestError(501, "no_report", f"the server lacks {missing}")
        outputs.append("report")
    if overlay:
        outputs.append("overlay")
    shown = _UNSAFE_CHARACTERS.sub("_", name).strip(" .") or "video"
    try:
        job = service.jobs.create(shown, tuple(outputs))
    except TooManyJobsError as error:
        raise RefusedRequestError(503, "busy", str(error)) from None
    try:
        await _receive(request, service, job)
    except BaseException:
        service.jobs.abandon(job)
        raise
    service.jobs.submit(job)
    return JSONResponse(
        job.result(service.settings.limits.keep_s), 202, {"location": f"/v1/videos/{job.id}"}
    )


async def _receive(request: Request, service: Service, job: Job) -> None:
    limits = service.settings.limits
    size = 0
    with (job.folder / VIDEO).open("wb") as file:
        async for chunk in chunks_of(request, limits.video_bytes, limits.idle_s):
            size += len(chunk)
            try:
                await asyncio.to_thread(file.write, chunk)
            except OSError as error:
                raise RefusedRequestError(
                    507, "no_space", f"cannot be stored ({error.strerror})"
                ) from None
    if not size:
        raise RefusedRequestError(400, "empty", "expected a video, got an empty body")


@router.get("/v1/videos")
async def jobs(request: Request) -> list[JobResult]:
    """List the jobs, oldest first."""
    service = service_of(request)
    keep_s = service.settings.limits.keep_s
    return [job.result(keep_s) for job in service.jobs.list()]


@router.get("/v1/videos/{id}", responses={**_NOT_FOUND, 200: examples.JOB})
async def job(request: Request, id: JobId) -> JobResult:
    """Tell the state of a job."""
    service = service_of(request)
    return _find(service, id).result(service.settings.limits.keep_s)


@router.delete("/v1/videos/{id}", status_code=204, responses=_NOT_FOUND)
async def delete(request: Request, id: JobId) -> Response:
    """Cancel a job, or delete its results before their time."""
    service = service_of(request)
    service.jobs.delete(_find(service, id))
    return Response(status_code=204)


@router.get(
    "/v1/videos/{id}/{output}",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file",
            "content": {kind.partition(";")[0]: {} for kind in _MEDIA_TYPES.values()},
        },
        404: {"model": Problem, "description": "No such job or output"},
        409: {"model": Problem, "description": "The job is not done"},
    },
)
async def output(
    request: Request, id: JobId, output: Literal["rows", "report", "overlay"]
) -> Response:
    """Return the rows as CSV, the report as HTML or the annotated video."""
    job = _find(service_of(request), id)
    if output not in job.outputs:
        raise RefusedRequestError(404, "no_output", f"{output} was not asked for")
    if job.state != "done":
        raise RefusedRequestError(409, "not_done", f"the job is {job.state}")
    headers = {"content-security-policy": REPORT_POLICY} if output == "report" else {}
    return FileResponse(job.folder / FILES[output], 200, headers, _MEDIA_TYPES[output])


def _find(service: Service, identifier: str) -> Job:
    job = service.jobs.find(identifier)
    if job is None:
        raise RefusedRequestError(404, "no_job", "no such job, or it has expired")
    return job
