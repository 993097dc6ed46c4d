"""A further network of a bundle without the numbers that it shares with the fp32 one: heads that stay in float32.

A file of safetensors holds `literal` (bytes), `parts` int64 [K, 3] and `sha256` (of the network). Each part is so many
bytes of `literal`, then so many bytes of the fp32 file from an offset on: (bytes, offset, borrowed bytes). The rest of
`literal` follows the last part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

INT8_CPU_BORROWED_FILE: Final[str] = "model.int8-cpu.borrowed"


def tell_borrowed(full: bytes, network: bytes, shared: Iterable[bytes]) -> bytes:
    """The file's content; `shared` are runs of bytes of the network. Those that the fp32 file lacks stay where they are."""
    places = []
    for run in shared:
        begin, offset = network.find(run), full.find(run)
        if begin >= 0 and offset >= 0:
            places.append((begin, offset, len(run)))
    literal, parts, at = bytearray(), [], 0
    for begin, offset, count in sorted(places):
        if begin < at:
            continue  # the same bytes as a run before
        literal += network[at:begin]
        parts.append((begin - at, offset, count))
        at = begin + count
    literal += network[at:]
    tensors: dict[str, NDArray[Any]] = {
        "literal": np.frombuffer(bytes(literal), np.uint8),
        "parts": np.array(parts, np.int64).reshape(-1, 3),
        "sha256": np.frombuffer(hashlib.sha256(network).digest(), np.uint8),
    }
    return save(tensors)


def borrowed_network(full: bytes, told: bytes) -> bytes:
    """The whole network; raises ValueError where `told` is damaged or was made of another fp32 network."""
    try:
        tensors = load(told)
        literal, parts, digest = (tensors[name] for name in ("literal", "parts", "sha256"))
        pieces, at, content = list[bytes](), 0, literal.tobytes()
        for own, offset, count in parts.tolist():
            if min(own, offset, count) < 0:
                raise ValueError(f"counts and offsets must not be below 0, got {own}, {offset}, {count}")
            pieces += [content[at : at + own], full[offset : offset + count]]
            at += own
        network = b"".join([*pieces, content[at:]])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"a file of {INT8_CPU_BORROWED_FILE}'s kind is wanted: {error!r}") from None
    if hashlib.sha256(network).digest() != digest.tobytes():
        raise ValueError("it was made of another fp32 network; export the model again")
    return network
