"""The fp16 network of a bundle, told by how it differs from the fp32 one: a ninth of its size, and the very same bytes.

A file of safetensors holds `literal` (bytes), `parts` int64 [K, 3] and `sha256` (of the network). Each part is so many
bytes of `literal`, then so many float32 numbers at that offset of the fp32 file, rounded to float16: (bytes, offset,
numbers). The rest of `literal` follows the last part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

HALVES_FILE: Final[str] = "model.fp16.halves"
LEAST_HALF: Final[float] = 2.0**-24


def rounded(full: bytes, offset: int, numbers: int) -> bytes:
    """Float32 numbers of a file as float16, none of which becomes 0; ValueError where the file does not hold them."""
    if not 0 <= offset <= offset + 4 * numbers <= len(full):
        raise ValueError(f"{numbers} numbers at {offset} must lie inside the fp32 network of {len(full)} bytes")
    given = np.frombuffer(full, "<f4", numbers, offset)
    with np.errstate(over="ignore"):  # infinity, as converters have it
        halves = given.astype("<f2")
    lost = (halves == 0) & (given != 0)
    halves[lost] = np.copysign(LEAST_HALF, given[lost])
    return halves.tobytes()


def tell_half(full: bytes, half: bytes, places: Iterable[tuple[int, int, int]]) -> bytes:
    """The file's content; `places` are (offset in half, offset in full, numbers), ascending."""
    literal, parts, at = bytearray(), [], 0
    for begin, offset, numbers in places:
        literal += half[at:begin]
        parts.append((begin - at, offset, numbers))
        at = begin + 2 * numbers
    literal += half[at:]
    tensors: dict[str, NDArray[Any]] = {
        "literal": np.frombuffer(bytes(literal), np.uint8),
        "parts": np.array(parts, np.int64).reshape(-1, 3),
        "sha256": np.frombuffer(hashlib.sha256(half).digest(), np.uint8),
    }
    told = save(tensors)
    half_network(full, told)  # refuses places where the networks do not agree
    return told


def half_network(full: bytes, told: bytes) -> bytes:
    """The fp16 network; raises ValueError where `told` is damaged or was made of another fp32 network."""
    try:
        tensors = load(told)
        literal, parts, digest = (tensors[name] for name in ("literal", "parts", "sha256"))
        pieces, at, content = list[bytes](), 0, literal.tobytes()
        for count, offset, numbers in parts.tolist():
            pieces += [content[at : at + count], rounded(full, offset, numbers)]
            at += count
        half = b"".join([*pieces, content[at:]])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"a file of {HALVES_FILE}'s kind is wanted: {error!r}") from None
    if hashlib.sha256(half).digest() != digest.tobytes():
        raise ValueError("it was made of another fp32 network; export the model again")
    return half
