"""Encodes the int8 CPU model of a bundle without the tensors that it shares with the fp32 one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from faceaffect.bundle.model_delta import apply_delta, encode_delta

INT8_CPU_DELTA_FILE: Final[str] = "model.int8-cpu.delta"


def encode_int8_delta(base: bytes, int8: bytes, tensors: Iterable[bytes]) -> bytes:
    """Encode the int8 model as the content of `INT8_CPU_DELTA_FILE`.

    Args:
        base: The fp32 ONNX file.
        int8: The int8 ONNX file.
        tensors: Contents of tensors of `int8`; those that `base` lacks are stored literally.
    """
    candidates = {(int8.find(data), base.find(data), len(data)) for data in tensors}
    ranges = []
    end = 0
    for begin, offset, count in sorted(candidates):
        if begin >= end and offset >= 0:  # an earlier begin overlaps the previous range
            ranges.append((begin, offset, count))
            end = begin + count
    return encode_delta(int8, ranges, 1)


def decode_int8(base: bytes, delta: bytes) -> bytes:
    """Decode the int8 ONNX file; raises ValueError as `apply_delta`."""
    return apply_delta(base, delta, _copy_from_base, INT8_CPU_DELTA_FILE)


def _copy_from_base(base: bytes, offset: int, count: int) -> bytes:
    if min(offset, count) < 0:
        raise ValueError(f"expected offset and count >= 0, got {offset} and {count}")
    return base[offset : offset + count]
