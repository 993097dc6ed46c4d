"""fp16 delta: the decoded model is identical, or the error says why not."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from faceaffect.bundle.bundle import MODEL_FILE, model_bytes, open_bundle
from faceaffect.bundle.fp16_delta import (
    FP16_DELTA_FILE,
    decode_fp16,
    encode_fp16_delta,
    round_to_fp16,
)
from faceaffect.bundle.model_spec import BundleError
from tests.sdk.tiny_bundle import write_tiny_bundle

VALUES = np.array([0, 1, -1.00048828125, 1e-9, -3e-9, 65504, 0.1, -0.0], np.float32)
BASE = b"abc" + VALUES.tobytes() + b"middle" + VALUES[::-1].tobytes()
FP16_MODEL = b"head" + round_to_fp16(BASE, 3, 8) + b"between" + round_to_fp16(BASE, 41, 5) + b"tail"
RANGES = [(4, 3, 8), (27, 41, 5)]


def test_round_to_fp16_keeps_nonzero_values() -> None:
    halves = np.frombuffer(round_to_fp16(BASE, 3, 8), np.float16)
    np.testing.assert_array_equal(halves[[0, 1, 5]], [0, 1, 65504])
    assert halves[2] == -1, "ties round to even"
    assert (halves[3], halves[4]) == (2.0**-24, -(2.0**-24))
    assert abs(float(halves[6]) - 0.1) < 2.0**-14
    assert np.signbit(halves[7])


def test_decode_fp16_restores_encoded_model() -> None:
    delta = encode_fp16_delta(BASE, FP16_MODEL, RANGES)
    assert decode_fp16(BASE, delta) == FP16_MODEL
    assert decode_fp16(b"anything", encode_fp16_delta(b"anything", FP16_MODEL, [])) == FP16_MODEL


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([(4, 3, 7), (27, 40, 5)], "made for another fp32 model"),
        ([(4, 3, 50)], "expected float32 values inside"),
        ([(4, -1, 2)], "expected float32 values inside"),
        ([(4, 3, 900)], "at most 4 times the fp32 model"),
    ],
)
def test_encode_fp16_delta_with_wrong_ranges_raises(
    ranges: list[tuple[int, int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        encode_fp16_delta(BASE, FP16_MODEL, ranges)


@pytest.mark.parametrize(
    ("base", "delta", "message"),
    [
        (
            BASE.replace(b"middle", b"midd"),
            encode_fp16_delta(BASE, FP16_MODEL, RANGES),
            "expected float32 values inside|another fp32",
        ),
        (
            BASE[:3] + bytes(4) + BASE[7:8] + b"x" + BASE[9:],
            encode_fp16_delta(BASE, FP16_MODEL, RANGES),
            "made for another fp32 model",
        ),
        (BASE, b"no tensors", "expected a delta file like model.fp16.delta"),
        (
            BASE,
            save({"literal": np.zeros(3, np.uint8)}),
            "expected a delta file like model.fp16.delta: KeyError",
        ),
    ],
)
def test_decode_fp16_with_another_base_or_file_raises(
    base: bytes, delta: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        decode_fp16(base, delta)


def test_bundle_with_fp16_delta_has_fp16(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path)
    bundle = open_bundle(folder)
    with pytest.raises(
        BundleError, match=r"expected model\.fp16\.onnx for precision fp16, got none"
    ):
        model_bytes(bundle, "fp16")

    def store(content: bytes) -> None:
        (folder / FP16_DELTA_FILE).write_bytes(content)
        spec = open_bundle(write_tiny_bundle(tmp_path / "again")).spec
        replace(
            spec, files=bundle.spec.files | {FP16_DELTA_FILE: sha256(content).hexdigest()}
        ).save(folder)

    other = (write_tiny_bundle(tmp_path / "other", size_px=64) / MODEL_FILE).read_bytes()
    store(encode_fp16_delta(bundle.onnx, other, []))
    assert model_bytes(open_bundle(folder), "fp16") == other
    store(b"damaged, under a right checksum")
    with pytest.raises(BundleError, match=r"model.fp16.delta: expected a delta file"):
        model_bytes(open_bundle(folder), "fp16")
