"""int8 delta: the decoded model is identical, and shared tensors are not stored."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from faceaffect.bundle.int8_delta import decode_int8, encode_int8_delta

RANDOM = np.random.default_rng(2)
SHARED = [RANDOM.bytes(count) for count in (400, 1000, 300)]
BASE = b"head" + SHARED[2] + b"middle" + SHARED[0] + RANDOM.bytes(90) + SHARED[1] + b"end"
INT8_MODEL = RANDOM.bytes(50) + SHARED[0] + b"." + SHARED[1] + RANDOM.bytes(200) + SHARED[2]


def test_decode_int8_restores_model_without_stored_shared_tensors() -> None:
    unshared = INT8_MODEL[-310:-305]
    delta = encode_int8_delta(BASE, INT8_MODEL, [*SHARED, unshared])
    assert decode_int8(BASE, delta) == INT8_MODEL
    assert load(delta)["literal"].size == len(INT8_MODEL) - sum(map(len, SHARED))


def test_decode_int8_without_shared_tensors_restores_model() -> None:
    assert decode_int8(BASE, encode_int8_delta(BASE, INT8_MODEL, [])) == INT8_MODEL


def test_decode_int8_with_another_base_or_damage_raises() -> None:
    delta = encode_int8_delta(BASE, INT8_MODEL, SHARED)
    with pytest.raises(ValueError, match="made for another fp32 model"):
        decode_int8(BASE[1:], delta)
    with pytest.raises(ValueError, match="expected a delta file"):
        decode_int8(BASE, delta[:100])
    tensors = dict(load(delta))
    tensors["parts"] = tensors["parts"].copy()
    tensors["parts"][0, 1] = -5
    with pytest.raises(ValueError, match="expected offset and count >= 0"):
        decode_int8(BASE, save(tensors))
    with pytest.raises(ValueError, match="expected a delta file"):
        decode_int8(BASE, save({"literal": np.zeros(3, np.uint8)}))
