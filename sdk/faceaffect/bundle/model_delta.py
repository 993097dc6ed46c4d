"""A network of a bundle, told by how it differs from the fp32 one.

A file of safetensors holds `literal` (bytes), `parts` int64 [K, 3] and `sha256` (of the
network). Each part is so many bytes of `literal`, then what the fp32 file lends: (bytes, offset,
count). The rest of `literal` follows the last part. What `count` things at an offset become is
the matter of `half_network` and `borrowed_network`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

CopyFromBase = Callable[[bytes, int, int], bytes]
"""(fp32 file, offset, count) -> bytes; ValueError where the file does not hold them."""


def encode_delta(network: bytes, places: Iterable[tuple[int, int, int]], count_bytes: int) -> bytes:
    """The file's content; `places` are (offset in the network, offset in fp32, count), ascending,
    of which each counted thing takes `count_bytes` of the network.
    """
    literal, parts, at = bytearray(), [], 0
    for begin, offset, count in places:
        literal += network[at:begin]
        parts.append((begin - at, offset, count))
        at = begin + count_bytes * count
    literal += network[at:]
    tensors: dict[str, NDArray[Any]] = {
        "literal": np.frombuffer(bytes(literal), np.uint8),
        "parts": np.array(parts, np.int64).reshape(-1, 3),
        "sha256": np.frombuffer(hashlib.sha256(network).digest(), np.uint8),
    }
    return save(tensors)


def told_network(full: bytes, told: bytes, lend: CopyFromBase, file: str) -> bytes:
    """The whole network; raises ValueError where `told`, of the kind of `file`, is damaged or was
    made of another network.
    """
    try:
        tensors = load(told)
        literal, parts, digest = (tensors[name] for name in ("literal", "parts", "sha256"))
        pieces, at, content = list[bytes](), 0, literal.tobytes()
        for own, offset, count in parts.tolist():
            if own < 0:
                raise ValueError(f"counts of bytes must not be below 0, got {own}")
            pieces += [content[at : at + own], lend(full, offset, count)]
            at += own
        network = b"".join([*pieces, content[at:]])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"a file of {file}'s kind is wanted: {error!r}") from None
    if hashlib.sha256(network).digest() != digest.tobytes():
        raise ValueError("it was made of another fp32 network; export the model again")
    return network
