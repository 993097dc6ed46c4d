"""Messages that clients of /v1/stream send: frames and commands."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from faceaffect.errors import FaceAffectError
from faceaffect.live.encoded_image import RefusedImageError, decode_image, raw_frame
from faceaffect.live.settings import Limits
from faceaffect.types import Frame

MAGIC: Final = b"FAF1"
"""Start of a binary message with a header: MAGIC, length (uint32, little endian), JSON, data."""
_PREFIX: Final = struct.Struct("<4sI")
_MAX_HEADER_BYTES: Final = 4096
_MAX_TIME_S: Final = 1e9
_MAX_ID: Final = 1 << 53
COMMANDS: Final = ("reset", "baseline", "rows")


class MessageError(FaceAffectError, ValueError):
    """A message that is neither a frame nor a command.

    Attributes:
        code: `bad_message`.
    """

    code: Final = "bad_message"


@dataclass(frozen=True, slots=True)
class FrameMessage:
    """A frame that has not been decoded; `id` and `time_s` are None unless the client sent them."""

    id: int | None
    time_s: float | None
    decode: Callable[[], Frame]


@dataclass(frozen=True, slots=True)
class Command:
    """`reset`, or `baseline` or `rows` with a switch."""

    name: str
    is_on: bool = True


def pack_frame(header: dict[str, Any], data: bytes) -> bytes:
    """Return a binary message of a header and the encoded or raw image."""
    text = json.dumps(header).encode()
    return _PREFIX.pack(MAGIC, len(text)) + text + data


def parse_binary(content: bytes, limits: Limits) -> FrameMessage:
    """Read a binary message: an encoded image, or a header and an image.

    Raises:
        MessageError: The header is malformed.
    """
    if not content.startswith(MAGIC):
        return FrameMessage(None, None, lambda: decode_image(content, limits))
    if len(content) < _PREFIX.size:
        raise MessageError("expected a header after FAF1, got the end of the message")
    length = _PREFIX.unpack_from(content)[1]
    if length > min(_MAX_HEADER_BYTES, len(content) - _PREFIX.size):
        raise MessageError(f"expected a header of at most {_MAX_HEADER_BYTES} bytes, got {length}")
    end = _PREFIX.size + length
    return _frame(_json_object(content[_PREFIX.size : end]), content[end:], limits)


def parse_text(text: str, limits: Limits) -> FrameMessage | Command:
    """Read a JSON message: `{"type": "frame", "image": BASE64}` or a command.

    Raises:
        MessageError: It is neither.
    """
    content = _json_object(text)
    kind = content.get("type")
    if kind == "frame":
        try:
            data = base64.b64decode(content.get("image", ""), validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise MessageError("expected image to be base64") from None
        return _frame(content, data, limits)
    if kind not in COMMANDS:
        raise MessageError(f"expected type to be frame, {', '.join(COMMANDS)}")
    is_on = content.get("on", True)
    if not isinstance(is_on, bool):
        raise MessageError("expected on to be true or false")
    return Command(str(kind), is_on)


def _json_object(text: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageError("expected JSON") from None
    if not isinstance(content, dict):
        raise MessageError("expected a JSON object")
    return content


def _frame(header: dict[str, Any], data: bytes, limits: Limits) -> FrameMessage:
    number = header.get("id")
    if number is not None and (type(number) is not int or not 0 <= number < _MAX_ID):
        raise MessageError("expected id to be a whole number from 0")
    time_s = header.get("time_s")
    if time_s is not None:
        is_number = type(time_s) in (int, float)
        if not is_number or not math.isfinite(time_s) or abs(time_s) > _MAX_TIME_S:
            raise MessageError("expected time_s to be a number of seconds")
    name = header.get("pixel_format")
    if name is None:
        return FrameMessage(number, time_s, lambda: decode_image(data, limits))
    width, height = header.get("width"), header.get("height")
    if type(width) is not int or type(height) is not int or not isinstance(name, str):
        raise MessageError("expected width and height of raw pixels to be whole numbers")
    return FrameMessage(number, time_s, lambda: raw_frame(data, width, height, name, limits))


def problem_of(error: Exception) -> dict[str, str]:
    """Return code and message of a refused frame."""
    code = error.code if isinstance(error, (RefusedImageError, MessageError)) else "failed"
    return {"code": code, "message": str(error) if code != "failed" else "the analysis failed"}
