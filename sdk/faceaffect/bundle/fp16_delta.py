"""The fp16 network of a bundle, told by how it differs from the fp32 one: a ninth of its size, and
the very same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from faceaffect.bundle.model_delta import encode_delta, told_network

HALVES_FILE: Final[str] = "model.fp16.delta"
LEAST_HALF: Final[float] = 2.0**-24


def rounded(full: bytes, offset: int, numbers: int) -> bytes:
    """Float32 numbers of a file as float16, none of which becomes 0; ValueError where the file does
    not hold them.
    """
    if not 0 <= offset <= offset + 4 * numbers <= len(full):
        raise ValueError(
            f"{numbers} numbers at {offset} must lie inside the fp32 network of {len(full)} bytes"
        )
    given = np.frombuffer(full, "<f4", numbers, offset)
    with np.errstate(over="ignore"):  # infinity, as converters have it
        halves = given.astype("<f2")
    lost = (halves == 0) & (given != 0)
    halves[lost] = np.copysign(LEAST_HALF, given[lost])
    return halves.tobytes()


def encode_fp16_delta(full: bytes, half: bytes, places: Iterable[tuple[int, int, int]]) -> bytes:
    """The file's content; `places` are (offset in half, offset in full, numbers), ascending."""
    told = encode_delta(half, places, 2)
    half_network(full, told)  # refuses places where the networks do not agree
    return told


def half_network(full: bytes, told: bytes) -> bytes:
    """The fp16 network; raises ValueError where `told` is damaged or was made of another fp32
    network.
    """
    return told_network(full, told, rounded, HALVES_FILE)
