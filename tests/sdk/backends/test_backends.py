"""Choosing a backend: the one that was asked for, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.backends import BackendError, available_backends, open_backend
from faceaffect.bundle import Bundle, open_bundle
from tests.sdk.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path))


def test_auto_on_the_cpu_is_onnx(bundle: Bundle) -> None:
    assert open_backend("auto", bundle).name == "onnx"


def test_unknown_name_lists_the_known(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match=r"one of \['onnx', 'openvino', 'tensorrt'\], got 'onxx'"):
        open_backend("onxx", bundle)


def test_onnx_never_runs_elsewhere_than_asked(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match="'onnx' runs on device 'cpu' only, got 'cuda:0'"):
        open_backend("onnx", bundle, device="cuda:0")


@pytest.mark.parametrize("name", ["tensorrt", "auto"])
def test_tensorrt_says_why_not_and_what_to_do(bundle: Bundle, name: str) -> None:
    with pytest.raises(BackendError, match=r"'tensorrt' cannot be used: .*use --backend onnx"):
        open_backend(name, bundle, device="cuda")


def test_availability_gives_a_reason_or_nothing() -> None:
    reasons = available_backends()
    assert reasons.keys() == {"onnx", "openvino", "tensorrt"}
    assert reasons["onnx"] == ""
    assert reasons["tensorrt"]
