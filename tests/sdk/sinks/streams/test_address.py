"""Tests of the addresses of streams."""

from __future__ import annotations

import pytest

from faceaffect.sinks import SinkError
from faceaffect.sinks.streams.address import StreamAddress, is_stream, parse_address


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("zmq://*:5556", True),
        ("OSC://127.0.0.1:9000", True),
        ("s3://bucket/rows", False),
        ("rows.csv", False),
        ("jsonl:-", False),
        ("zmq:/*", False),
    ],
)
def test_is_stream_by_scheme(output: str, expected: bool) -> None:
    assert is_stream(output) is expected


def test_parse_address_parts() -> None:
    assert parse_address("mqtts://ann:s%40crt@broker:1884/lab/faces%201?wait=2.5") == StreamAddress(
        text="mqtts://ann:***@broker:1884/lab/faces%201?wait=2.5",
        scheme="mqtts",
        host="broker",
        port=1884,
        path="lab/faces 1",
        user="ann",
        password="s@crt",
        wait_s=2.5,
    )
    assert parse_address("lsl://My%20Faces").host == "My Faces"
    assert parse_address("zmq://[::1]:5556").host == "::1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zmq://*", "none with a port"),
        ("osc://:9000", "none with a host"),
        ("lsl://", "none with a name"),
        ("zmq://*:99999", r"zmq://\*:5556, got Port out of range"),
        ("mqtt://host/topic?retain=1", "the option retain"),
        ("mqtt://host/topic?wait=-1", "a wait of -1 s"),
        ("mqtt://ann:secret@/t", r"ann:\*\*\*@"),
    ],
)
def test_parse_address_that_is_incomplete_is_refused(text: str, message: str) -> None:
    with pytest.raises(SinkError, match=message) as raised:
        parse_address(text)
    assert "secret" not in str(raised.value)
