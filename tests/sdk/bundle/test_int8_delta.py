"""A network told by what it does not share with another one comes back byte for byte, or not at
all.
"""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from faceaffect.bundle.int8_delta import borrowed_network, encode_int8_delta

RANDOM = np.random.default_rng(2)
SHARED = [RANDOM.bytes(count) for count in (400, 1000, 300)]
FULL = b"head" + SHARED[2] + b"middle" + SHARED[0] + RANDOM.bytes(90) + SHARED[1] + b"end"
NETWORK = RANDOM.bytes(50) + SHARED[0] + b"." + SHARED[1] + RANDOM.bytes(200) + SHARED[2]


def test_the_network_comes_back_and_what_is_shared_is_not_stored() -> None:
    elsewhere = NETWORK[-310:-305]  # bytes that the other file lacks stay in the file
    told = encode_int8_delta(FULL, NETWORK, [*SHARED, elsewhere])
    assert borrowed_network(FULL, told) == NETWORK
    assert load(told)["literal"].size == len(NETWORK) - sum(map(len, SHARED))


def test_nothing_shared_is_no_loss() -> None:
    assert borrowed_network(FULL, encode_int8_delta(FULL, NETWORK, [])) == NETWORK


def test_another_network_and_damage_are_refused() -> None:
    told = encode_int8_delta(FULL, NETWORK, SHARED)
    with pytest.raises(ValueError, match="made of another fp32 network"):
        borrowed_network(FULL[1:], told)
    with pytest.raises(ValueError, match="kind is wanted"):
        borrowed_network(FULL, told[:100])
    tensors = dict(load(told))
    tensors["parts"] = tensors["parts"].copy()
    tensors["parts"][0, 1] = -5
    with pytest.raises(ValueError, match="must not be below 0"):
        borrowed_network(FULL, save(tensors))
    with pytest.raises(ValueError, match="kind is wanted"):
        borrowed_network(FULL, save({"literal": np.zeros(3, np.uint8)}))
