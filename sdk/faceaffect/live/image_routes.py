"""POST /v1/images: one or many images in, their faces out."""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from faceaffect.errors import FaceAffectError
from faceaffect.live import examples
from faceaffect.live.batched_streams import StreamPipeline
from faceaffect.live.encoded_image import RefusedImageError, decode_image
from faceaffect.live.pipeline_pool import BusyError
from faceaffect.live.request_body import (
    RefusedRequestError,
    is_multipart,
    read_body,
    read_files,
)
from faceaffect.live.results import ImageResult, ImagesResult, Problem, face_results
from faceaffect.live.service import Service, service_of

router = APIRouter()
_KIND: Final = "image"
_MAX_NAME: Final = 80
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "One image (JPEG, PNG or WebP), or a form with several files",
    "content": {
        "image/jpeg": _BINARY,
        "image/png": _BINARY,
        "image/webp": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary"},
                    }
                },
            }
        },
    },
}


@router.post(
    "/v1/images",
    response_model=ImagesResult,
    responses={
        200: examples.IMAGES,
        400: {"model": Problem, "description": "Not an image, or a malformed form"},
        408: {"model": Problem, "description": "The body came too slowly"},
        413: {"model": Problem, "description": "Too large, or too many images"},
        503: {"model": Problem, "description": "All pipelines are taken; try again"},
    },
    openapi_extra={"requestBody": _BODY},
    tags=["images"],
)
async def images(request: Request) -> Response:
    """Analyze unrelated images.

    An image of a form that cannot be decoded has an `error` and no faces; the others have theirs.
    """
    service = service_of(request)
    limits = service.settings.limits
    if is_multipart(request):
        files = await read_files(request, limits.request_bytes, limits.images + 1, limits.idle_s)
        if len(files) > limits.images:
            raise RefusedRequestError(
                413, "too_many", f"expected at most {limits.images} images, got {len(files)}"
            )
    else:
        files = [("", await read_body(request, limits.image_bytes, limits.idle_s))]
    results = []
    try:
        async with service.pool.lend() as pipeline:
            for name, content in files:
                results.append(await _analyze(service, pipeline, name, content))
    except BusyError as error:
        raise RefusedRequestError(503, "busy", str(error)) from None
    if not is_multipart(request) and results[0]["error"]:
        raise RefusedRequestError(400, "bad_image", results[0]["error"])
    return JSONResponse({"images": results})


async def _analyze(
    service: Service, pipeline: StreamPipeline, name: str, content: bytes
) -> ImageResult:
    pool = service.pool
    shown = "".join(one for one in name[:_MAX_NAME] if one.isprintable())
    result: ImageResult = {"name": shown, "width": 0, "height": 0, "faces": [], "error": ""}
    await pool.run(pipeline.reset, True)
    try:
        analyzed = await pool.run(
            pool.analyze,
            _KIND,
            pipeline,
            lambda: decode_image(content, service.settings.limits),
            time.perf_counter_ns(),
        )
    except (RefusedImageError, FaceAffectError) as error:
        code = error.code if isinstance(error, RefusedImageError) else "failed"
        service.metrics.refused.labels(code).inc()
        result["error"] = str(error)
        return result
    result["width"], result["height"] = analyzed.frame.width_px, analyzed.frame.height_px
    result["faces"] = face_results(analyzed.faces, analyzed.affect)
    return result
