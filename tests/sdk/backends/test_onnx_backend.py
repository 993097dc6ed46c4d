"""ONNX Runtime: the heads of the synthetic network are a closed form of the crop's mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect.backends import Backend, open_backend
from faceaffect.bundle.bundle import open_bundle
from faceaffect.bundle.model_spec import HEADS
from tests.sdk.tiny_bundle import face_shape, write_tiny_bundle


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return open_backend("onnx", open_bundle(write_tiny_bundle(tmp_path)))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_onnx_backend_heads_have_specified_shapes(backend: Backend, count: int) -> None:
    heads = backend.infer(np.zeros((count, 3, 112, 112), np.float32))
    assert list(heads) == list(HEADS)
    for name, shape in HEADS.items():
        assert heads[name].shape == (count, *(4 if side == "D" else side for side in shape))
        assert heads[name].dtype == np.float32


def test_onnx_backend_heads_match_closed_form(backend: Backend) -> None:
    crops = np.random.default_rng(5).normal(size=(3, 3, 112, 112)).astype(np.float32)
    crops += np.float32([-1, 0, 1])[:, None, None, None]
    mean = crops.mean(axis=(1, 2, 3))
    heads = backend.infer(crops)
    np.testing.assert_allclose(heads["face_logit"], 8 * mean + 8, atol=1e-4)
    np.testing.assert_allclose(heads["expression_logit"], mean[:, None] + np.arange(7), atol=1e-5)
    np.testing.assert_allclose(heads["landmarks_px"], np.tile(face_shape(), (3, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(backend.infer(crops[1:2])["va_raw"], heads["va_raw"][1:2], atol=1e-6)


def test_onnx_backend_describes_itself(backend: Backend) -> None:
    assert (backend.name, backend.precision) == ("onnx", "float32")
    assert backend.version[0].isdigit()
