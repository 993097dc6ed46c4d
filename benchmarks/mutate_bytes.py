"""Mutates bytes reproducibly, for reliability campaigns and fuzzing without Atheris."""

from __future__ import annotations

import random

_STRANGE = (0, 1, 0x7F, 0x80, 0xFF)


def mutate(content: bytes, seed: int) -> bytes:
    """The mutation of `content` that belongs to `seed`."""
    source = random.Random(seed)
    data = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 4, 16))):
        position = source.randrange(len(data) + 1)
        length = source.choice((1, 1, 2, 4, 8, 64))
        kind = source.randrange(6)
        if kind == 0 and data:
            data[position % len(data)] ^= 1 << source.randrange(8)
        elif kind == 1 and data:
            data[position % len(data)] = source.choice(_STRANGE)
        elif kind == 2:
            del data[position : position + length]
        elif kind == 3:
            data[position:position] = source.randbytes(length)
        elif kind == 4:
            start = source.randrange(len(data) + 1)
            data[position:position] = data[start : start + length]
        else:
            data[position : position + length] = source.randbytes(length)
        if source.randrange(64) == 0:
            del data[position:]
    return bytes(data)
