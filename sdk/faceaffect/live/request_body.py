"""Reads the bodies of requests within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from faceaffect.errors import FaceAffectError

_MULTIPART: Final = "multipart/form-data"


class RefusedRequestError(FaceAffectError, ValueError):
    """A request that is not carried out.

    Attributes:
        status: HTTP status.
        code: For programs.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        """Refuse with a status and code."""
        super().__init__(message)
        self.status = status
        self.code = code


async def chunks_of(request: Request, max_bytes: int, idle_s: float) -> AsyncIterator[bytes]:
    """Yield the body of a request.

    Raises:
        RefusedRequestError: It has more than `max_bytes`, or stops for `idle_s`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    total = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            chunk = await asyncio.wait_for(anext_of(stream), idle_s)
        except asyncio.TimeoutError:
            raise RefusedRequestError(408, "too_slow", f"nothing sent for {idle_s:g} s") from None
        except ClientDisconnect:
            raise RefusedRequestError(400, "disconnected", "the client has gone") from None
        if chunk is None:
            return
        total += len(chunk)
        if total > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


async def anext_of(stream: AsyncIterator[bytes]) -> bytes | None:
    """Return the next chunk; None at the end."""
    async for chunk in stream:
        return chunk
    return None


def _too_large(max_bytes: int) -> RefusedRequestError:
    return RefusedRequestError(413, "too_large", f"expected at most {max_bytes} bytes; send less")


class _MemoryParser(MultiPartParser):
    """Keeps files in memory; the body has been limited before."""

    spool_max_size = 1 << 40
    max_file_size = spool_max_size  # its name in older releases


def is_multipart(request: Request) -> bool:
    """Whether the body of a request is a form with files."""
    return request.headers.get("content-type", "").partition(";")[0].strip() == _MULTIPART


async def read_files(
    request: Request, max_bytes: int, max_files: int, idle_s: float
) -> list[tuple[str, bytes]]:
    """Return names and contents of the files in a multipart request.

    Raises:
        RefusedRequestError: It is malformed or too large.
    """
    body = await read_body(request, max_bytes, idle_s)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    try:
        async with aclosing(stream()) as chunks:
            parser = _MemoryParser(request.headers, chunks, max_files=max_files, max_fields=0)
            form = await parser.parse()
    except MultiPartException as error:
        raise RefusedRequestError(400, "bad_form", error.message) from None
    except (KeyError, ValueError, AttributeError):
        raise RefusedRequestError(400, "bad_form", "expected multipart/form-data") from None
    files: list[Any] = [value for _, value in form.multi_items() if not isinstance(value, str)]
    result = [(str(one.filename or ""), await one.read()) for one in files]
    await form.close()
    return result


async def read_body(request: Request, max_bytes: int, idle_s: float) -> bytes:
    """Return the whole body of a request; see `chunks_of`."""
    return b"".join([chunk async for chunk in chunks_of(request, max_bytes, idle_s)])
