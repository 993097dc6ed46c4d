"""Encodes the fp16 model of a bundle as a delta against the fp32 one, at a ninth of its size.

Decoding rounds the fp32 weights to float16 and reproduces the fp16 file byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from faceaffect.bundle.model_delta import apply_delta, encode_delta

FP16_DELTA_FILE: Final[str] = "model.fp16.delta"
MIN_FP16: Final[float] = 2.0**-24
"""Smallest positive float16 (subnormal)."""


def round_to_fp16(base: bytes, offset: int, count: int) -> bytes:
    """Round `count` float32 values of a file to float16 so that no nonzero value becomes 0.

    Raises:
        ValueError: The range is outside the file.
    """
    if not 0 <= offset <= offset + 4 * count <= len(base):
        raise ValueError(
            f"expected float32 values inside the fp32 model of {len(base)} bytes, "
            f"got {count} at offset {offset}"
        )
    values = np.frombuffer(base, "<f4", count, offset)
    with np.errstate(over="ignore"):  # overflow becomes infinity, as in ONNX converters
        halves = values.astype("<f2")
    underflows = (halves == 0) & (values != 0)
    halves[underflows] = np.copysign(MIN_FP16, values[underflows])
    return halves.tobytes()


def encode_fp16_delta(base: bytes, fp16: bytes, ranges: Iterable[tuple[int, int, int]]) -> bytes:
    """Encode the fp16 model as the content of `FP16_DELTA_FILE`.

    Args:
        base: The fp32 ONNX file.
        fp16: The fp16 ONNX file.
        ranges: (offset in `fp16`, offset in `base`, number of values), ascending.

    Raises:
        ValueError: The two files do not agree in some range.
    """
    delta = encode_delta(fp16, ranges, 2)
    decode_fp16(base, delta)
    return delta


def decode_fp16(base: bytes, delta: bytes) -> bytes:
    """Decode the fp16 ONNX file; raises ValueError as `apply_delta`."""
    return apply_delta(base, delta, round_to_fp16, FP16_DELTA_FILE)
