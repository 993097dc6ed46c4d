"""A further network of a bundle without the numbers that it shares with the fp32 one: heads that
stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from faceaffect.bundle.model_delta import encode_delta, told_network

INT8_CPU_BORROWED_FILE: Final[str] = "model.int8-cpu.delta"


def encode_int8_delta(full: bytes, network: bytes, shared: Iterable[bytes]) -> bytes:
    """The file's content; `shared` are runs of bytes of the network. Those that the fp32 file lacks
    stay where they are.
    """
    found = {(network.find(run), full.find(run), len(run)) for run in shared}
    places, end = [], 0
    for begin, offset, count in sorted(found):
        if begin >= end and offset >= 0:  # what begins earlier is the same bytes as a run before
            places.append((begin, offset, count))
            end = begin + count
    return encode_delta(network, places, 1)


def borrowed_network(full: bytes, told: bytes) -> bytes:
    """The whole network; raises ValueError where `told` is damaged or was made of another fp32
    network.
    """
    return told_network(full, told, _lent, INT8_CPU_BORROWED_FILE)


def _lent(full: bytes, offset: int, count: int) -> bytes:
    if min(offset, count) < 0:
        raise ValueError(f"counts and offsets must not be below 0, got {offset}, {count}")
    return full[offset : offset + count]
