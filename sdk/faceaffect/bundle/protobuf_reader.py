"""Reads the fields of a protobuf message strictly, without a schema compiler or the onnx package.

Parsers forgive much: they skip unknown fields, merge repeated ones and let the last one win. What a
check skips, a runtime may still use, so this reader yields every field and refuses all that a
writer of ONNX files never produces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_MAX_VARINT_BYTES: Final = 10

Field = tuple[int, int, int]
"""Field number, and the begin and end of its content; of a varint the value, twice."""


def read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Read a base-128 number; returns it and the position behind it, or raises ValueError."""
    value = shift = 0
    for index in range(position, min(end, position + _MAX_VARINT_BYTES)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise ValueError("expected protobuf, got a damaged number")


def read_fields(
    data: bytes, begin: int, end: int, wire_types: Mapping[int, tuple[int, ...]]
) -> Iterator[Field]:
    """Yield the fields of the message in `data[begin:end]`.

    Args:
        data: The file.
        begin: First byte of the message.
        end: End of the message.
        wire_types: Field number -> wire types that it may have.

    Raises:
        ValueError: The message is cut off, or has a field that is not in `wire_types`.
    """
    position = begin
    while position < end:
        tag = data[position]
        position += 1
        if tag >= 0x80:  # field numbers from 16 on take two bytes
            tag, position = read_varint(data, position - 1, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type not in wire_types.get(number, ()):
            raise ValueError(f"expected ONNX, got field {number} of wire type {wire_type}")
        if wire_type in (FIXED32, FIXED64):
            size = 4 if wire_type == FIXED32 else 8
        else:
            size = data[position] if position < end else 0x80
            if size < 0x80:  # most numbers take one byte
                position += 1
            else:
                size, position = read_varint(data, position, end)
            if wire_type == VARINT:
                yield number, size, size
                continue
        if size > end - position:
            raise ValueError("expected ONNX, got a file that is cut off")
        yield number, position, position + size
        position += size
