"""Messages of /v1/stream: what is read, and what is refused."""

from __future__ import annotations

import base64
import json
import struct

import cv2
import numpy as np
import pytest

from faceaffect.live.settings import Limits
from faceaffect.live.stream_messages import (
    Command,
    FrameMessage,
    MessageError,
    pack_frame,
    parse_binary,
    parse_text,
)

LIMITS = Limits()
IMAGE = np.full((24, 32, 3), 90, np.uint8)
PNG = cv2.imencode(".png", IMAGE)[1].tobytes()


@pytest.mark.parametrize("header", [None, {}, {"id": 7, "time_s": 0.25}])
def test_encoded_images_are_read(header: dict[str, object] | None) -> None:
    message = parse_binary(PNG if header is None else pack_frame(header, PNG), LIMITS)
    assert message.id == (header or {}).get("id")
    assert message.time_s == (header or {}).get("time_s")
    np.testing.assert_array_equal(message.decode().pixels, IMAGE)


def test_raw_pixels_and_base64_are_read() -> None:
    header = {"width": 32, "height": 24, "pixel_format": "BGR"}
    raw = parse_binary(pack_frame(header, IMAGE.tobytes()), LIMITS)
    np.testing.assert_array_equal(raw.decode().pixels, IMAGE)
    text = json.dumps({"type": "frame", "id": 3, "image": base64.b64encode(PNG).decode()})
    message = parse_text(text, LIMITS)
    assert isinstance(message, FrameMessage)
    assert message.id == 3
    np.testing.assert_array_equal(message.decode().pixels, IMAGE)


def test_commands_are_read() -> None:
    assert parse_text('{"type": "reset"}', LIMITS) == Command("reset")
    assert parse_text('{"type": "baseline", "on": false}', LIMITS) == Command("baseline", False)


@pytest.mark.parametrize(
    "content",
    [
        b"FAF1",
        b"FAF1" + struct.pack("<I", 5000) + b"x" * 6000,
        b"FAF1" + struct.pack("<I", 50) + b"{}",
        b"FAF1" + struct.pack("<I", 2) + b"[]",
        pack_frame({"id": -1}, PNG),
        pack_frame({"id": True}, PNG),
        pack_frame({"id": 1.5}, PNG),
        pack_frame({"time_s": "now"}, PNG),
        pack_frame({"time_s": float("nan")}, PNG),
        pack_frame({"time_s": 1e300}, PNG),
        pack_frame({"pixel_format": "BGR"}, PNG),
        pack_frame({"pixel_format": 3, "width": 1, "height": 1}, PNG),
    ],
)
def test_malformed_binary_messages_are_refused(content: bytes) -> None:
    with pytest.raises(MessageError):
        parse_binary(content, LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "[]",
        "{}",
        '{"type": "shutdown"}',
        '{"type": ["reset"]}',
        '{"type": "rows", "on": 1}',
        '{"type": "frame", "image": "%%"}',
        '{"type": "frame", "image": 5}',
        "[" * 100_000,
    ],
)
def test_malformed_text_messages_are_refused(text: str) -> None:
    with pytest.raises(MessageError):
        parse_text(text, LIMITS)
