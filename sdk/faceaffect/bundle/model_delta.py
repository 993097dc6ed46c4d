"""Stores a model as a delta against the bundle's fp32 ONNX file.

A safetensors file holds `literal` (bytes), `parts` int64 [K, 3] and `sha256` (of the encoded
model). Each row of `parts` is (literal_bytes, fp32_offset, count): copy `literal_bytes` from
`literal`, then `count` elements from the fp32 file at `fp32_offset`. The rest of `literal` follows
the last row. `fp16_delta` and `int8_delta` define what an element is and how it is copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from faceaffect.bundle.bundle_files import MAX_FILE_BYTES

MAX_GROWTH: Final[int] = 4
"""Bytes that the parts may copy, in sizes of the fp32 file: a short list of parts could otherwise
copy the whole file any number of times."""
_MAX_PARTS: Final[int] = 1 << 16

CopyFromBase = Callable[[bytes, int, int], bytes]
"""(fp32 file, offset, count) -> bytes; raises ValueError if the range is outside the file."""


def encode_delta(model: bytes, ranges: Iterable[tuple[int, int, int]], element_bytes: int) -> bytes:
    """Encode `model` as the content of a delta file.

    Args:
        model: The ONNX file to encode.
        ranges: (offset in `model`, offset in the fp32 file, count), ascending.
        element_bytes: Size of one counted element in `model`.
    """
    literal = bytearray()
    parts = []
    position = 0
    for begin, offset, count in ranges:
        literal += model[position:begin]
        parts.append((begin - position, offset, count))
        position = begin + element_bytes * count
    literal += model[position:]
    tensors: dict[str, NDArray[Any]] = {
        "literal": np.frombuffer(bytes(literal), np.uint8),
        "parts": np.array(parts, np.int64).reshape(-1, 3),
        "sha256": np.frombuffer(hashlib.sha256(model).digest(), np.uint8),
    }
    return save(tensors)


def apply_delta(base: bytes, delta: bytes, copy_from_base: CopyFromBase, file: str) -> bytes:
    """Decode the model that `delta` encodes against the fp32 file `base`.

    Raises:
        ValueError: `delta` is not a file of the kind of `file`, is damaged, or was made for
            another fp32 file.
    """
    try:
        tensors = load(delta)
        literal, parts, digest = (tensors[name] for name in ("literal", "parts", "sha256"))
        if parts.dtype != np.int64 or parts.ndim != 2 or len(parts) > _MAX_PARTS:
            raise ValueError(
                f"expected at most {_MAX_PARTS} parts of int64, got {parts.dtype} {parts.shape}"
            )
        content = literal.tobytes()
        pieces = list[bytes]()
        position = 0
        left_bytes = min(MAX_GROWTH * len(base), MAX_FILE_BYTES)
        for literal_bytes, offset, count in parts.tolist():
            left_bytes -= max(count, 0)
            if left_bytes < 0:
                raise ValueError(
                    f"expected parts of at most {MAX_GROWTH} times the fp32 model in total, "
                    "got more"
                )
            if literal_bytes < 0:
                raise ValueError(f"expected byte counts >= 0, got {literal_bytes}")
            pieces.append(content[position : position + literal_bytes])
            pieces.append(copy_from_base(base, offset, count))
            position += literal_bytes
        model = b"".join([*pieces, content[position:]])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"expected a delta file like {file}: {error!r}") from None
    if hashlib.sha256(model).digest() != digest.tobytes():
        raise ValueError("the delta was made for another fp32 model; export the model again")
    return model
