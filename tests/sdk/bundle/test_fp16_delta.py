"""The fp16 network as a bundle keeps it: the very same bytes, or an error that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from faceaffect.bundle.bundle import model_bytes, open_bundle
from faceaffect.bundle.fp16_delta import HALVES_FILE, encode_fp16_delta, half_network, rounded
from faceaffect.bundle.model_spec import BundleError
from tests.sdk.tiny_bundle import write_tiny_bundle

NUMBERS = np.array([0, 1, -1.00048828125, 1e-9, -3e-9, 65504, 0.1, -0.0], np.float32)
FULL = b"abc" + NUMBERS.tobytes() + b"middle" + NUMBERS[::-1].tobytes()
HALF = b"head" + rounded(FULL, 3, 8) + b"between" + rounded(FULL, 41, 5) + b"tail"
PLACES = [(4, 3, 8), (27, 41, 5)]


def test_numbers_are_rounded_to_the_nearest_and_never_lost() -> None:
    halves = np.frombuffer(rounded(FULL, 3, 8), np.float16)
    np.testing.assert_array_equal(halves[[0, 1, 5]], [0, 1, 65504])
    assert halves[2] == -1, "ties go to the even"
    assert (halves[3], halves[4]) == (2.0**-24, -(2.0**-24))
    assert abs(float(halves[6]) - 0.1) < 2.0**-14
    assert np.signbit(halves[7])


def test_what_is_told_is_made_again() -> None:
    told = encode_fp16_delta(FULL, HALF, PLACES)
    assert half_network(FULL, told) == HALF
    assert half_network(b"anything", encode_fp16_delta(b"anything", HALF, [])) == HALF


@pytest.mark.parametrize("places", [[(4, 3, 7), (27, 40, 5)], [(4, 3, 900)], [(4, -1, 2)]])
def test_wrong_places_are_not_told(places: list[tuple[int, int, int]]) -> None:
    with pytest.raises(
        ValueError, match=r"made of another fp32 network|must lie inside the fp32 network"
    ):
        encode_fp16_delta(FULL, HALF, places)


@pytest.mark.parametrize(
    ("full", "told", "message"),
    [
        (
            FULL.replace(b"middle", b"midd"),
            encode_fp16_delta(FULL, HALF, PLACES),
            "must lie inside the fp32 network of|another fp32",
        ),
        (
            FULL[:3] + bytes(4) + FULL[7:8] + b"x" + FULL[9:],
            encode_fp16_delta(FULL, HALF, PLACES),
            "made of another fp32 network",
        ),
        (FULL, b"no tensors", "a file of model.fp16.delta's kind is wanted"),
        (
            FULL,
            save({"literal": np.zeros(3, np.uint8)}),
            "a file of model.fp16.delta's kind is wanted: KeyError",
        ),
    ],
)
def test_another_network_or_file_is_refused(full: bytes, told: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        half_network(full, told)


def test_a_bundle_that_keeps_halves_has_fp16(tmp_path: Path) -> None:
    from dataclasses import replace
    from hashlib import sha256

    folder = write_tiny_bundle(tmp_path)
    bundle = open_bundle(folder)
    with pytest.raises(BundleError, match="this bundle holds none"):
        model_bytes(bundle, "fp16")

    def keep(content: bytes) -> None:
        (folder / HALVES_FILE).write_bytes(content)
        spec = open_bundle(write_tiny_bundle(tmp_path / "again")).spec
        replace(spec, files=bundle.spec.files | {HALVES_FILE: sha256(content).hexdigest()}).save(
            folder
        )

    keep(encode_fp16_delta(bundle.onnx, b"half of it", []))
    assert model_bytes(open_bundle(folder), "fp16") == b"half of it"
    keep(b"damaged, under a right checksum")
    with pytest.raises(BundleError, match=r"model.fp16.delta: a file of .* kind is wanted"):
        model_bytes(open_bundle(folder), "fp16")
