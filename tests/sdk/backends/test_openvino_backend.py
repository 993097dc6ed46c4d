"""OpenVINO returns the same heads as ONNX Runtime."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from faceaffect.backends import BackendError, available_backends, open_backend
from faceaffect.bundle.bundle import open_bundle
from faceaffect.system.install_command import install_command
from tests.sdk.tiny_bundle import write_tiny_bundle

INSTALLED = importlib.util.find_spec("openvino") is not None


@pytest.mark.skipif(INSTALLED, reason="openvino is installed")
def test_openvino_backend_not_installed_raises(tmp_path: Path) -> None:
    assert "pip install" in available_backends()["openvino"]
    with pytest.raises(BackendError, match=re.escape(install_command("openvino"))):
        open_backend("openvino", open_bundle(write_tiny_bundle(tmp_path)))


@pytest.mark.skipif(not INSTALLED, reason="openvino is not installed")
def test_openvino_backend_heads_match_onnx_runtime(tmp_path: Path) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path))
    crops = np.random.default_rng(2).normal(size=(3, 3, 112, 112)).astype(np.float32)
    expected = open_backend("onnx", bundle).infer(crops)
    heads = open_backend("openvino", bundle).infer(crops)
    assert heads.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(heads[name], expected[name], atol=1e-4, err_msg=name)


@pytest.mark.skipif(not INSTALLED, reason="openvino is not installed")
def test_openvino_backend_with_cuda_device_raises(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="'openvino' runs on device 'cpu' only, got 'cuda'"):
        open_backend("openvino", open_bundle(write_tiny_bundle(tmp_path)), device="cuda")
