"""Selection of a backend, its fallback and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.backends import (
    BackendError,
    BackendOptions,
    available_backends,
    cpu_model_selection,
    onnx_multistage,
    open_backend,
    registry,
    tensorrt_backend,
)
from faceaffect.bundle.bundle import Bundle, open_bundle
from tests.sdk.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path))


def test_open_backend_auto_on_cpu_is_onnx(bundle: Bundle) -> None:
    assert open_backend("auto", bundle).name == "onnx"


def test_open_backend_with_unknown_name_lists_names(bundle: Bundle) -> None:
    with pytest.raises(
        BackendError, match=r"one of \['onnx', 'openvino', 'tensorrt'\], got 'onxx'"
    ):
        open_backend("onxx", bundle)


def test_onnx_backend_with_cuda_device_raises(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match="'onnx' runs on device 'cpu' only, got 'cuda:0'"):
        open_backend("onnx", bundle, device="cuda:0")


def test_open_backend_unavailable_raises_with_reason(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tensorrt_backend, "unavailable_reason", lambda: "no driver; use --backend onnx"
    )
    with pytest.raises(BackendError, match=r"'tensorrt' cannot be used: .*use --backend onnx"):
        open_backend("tensorrt", bundle, device="cuda")


def test_open_backend_auto_falls_back_with_one_warning(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorrt_backend, "unavailable_reason", lambda: "TensorRT is missing")
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: True)
    assert open_backend("auto", bundle, options=BackendOptions(precision="auto")).name == "onnx"
    (record,) = caplog.records
    assert "running on the CPU with ONNX Runtime, since" in record.getMessage()
    assert "TensorRT is missing" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_open_backend_auto_without_gpu_logs_nothing(
    bundle: Bundle, device: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: False)
    assert open_backend("auto", bundle, device=device).name == "onnx"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("options", "unsupported", "on_cpu"),
    [
        (BackendOptions(precision="fp16"), "precision fp16", "expected precision fp32 or int8"),
        (BackendOptions(precision="int8"), "precision int8", "needs a processor with int8"),
        (BackendOptions(precision="fp16", dla_core=1), "DLA core 1", "'onnx' runs on the CPU"),
    ],
)
def test_open_backend_auto_without_gpu_refuses_named_options(
    bundle: Bundle,
    options: BackendOptions,
    unsupported: str,
    on_cpu: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(cpu_model_selection, "has_int8_dot_products", lambda: False)
    with pytest.raises(BackendError, match=f"{unsupported} needs an NVIDIA GPU"):
        open_backend("auto", bundle, options=options)
    with pytest.raises(BackendError, match=on_cpu):
        open_backend("auto", bundle, device="cpu", options=options)


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
def test_open_backend_auto_with_missing_named_device_raises(
    bundle: Bundle, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_backend, "unavailable_reason", lambda: "no such GPU")
    with pytest.raises(BackendError, match="no such GPU"):
        open_backend("auto", bundle, device=device)


@pytest.mark.parametrize(
    "device", ["banana", "", "cpu0", "cuda:", "cuda:-1", "cuda:x", "GPU", "cuda:1\n"]
)
@pytest.mark.parametrize("backend", ["auto", "onnx"])
def test_open_backend_with_unknown_device_raises(bundle: Bundle, backend: str, device: str) -> None:
    with pytest.raises(BackendError, match="device must be auto, cpu, cuda or cuda:N"):
        open_backend(backend, bundle, device=device)


def test_open_backend_auto_with_gpu_keeps_named_precision(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(tensorrt_backend, "unavailable_reason", lambda: "TensorRT is missing")
    with pytest.raises(BackendError, match="TensorRT is missing"):
        open_backend("auto", bundle, options=BackendOptions(precision="fp16"))


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_cpu_backend_with_dla_core_raises(bundle: Bundle, name: str) -> None:
    if available_backends()[name]:
        pytest.skip(f"{name} is not installed")
    with pytest.raises(
        BackendError, match=f"'{name}' runs on the CPU, got DLA core 0; use --backend tensorrt"
    ):
        open_backend(name, bundle, options=BackendOptions(dla_core=0))


def test_cpu_backend_with_unsupported_precision_raises(bundle: Bundle) -> None:
    with pytest.raises(
        BackendError,
        match="CPU backends: expected precision fp32 or int8, got 'fp16'; use --backend tensorrt",
    ):
        open_backend("onnx", bundle, options=BackendOptions(precision="fp16"))
    with pytest.raises(
        BackendError, match="precision must be auto or one of fp32, fp16, int8, got 'bf16'"
    ):
        open_backend("onnx", bundle, options=BackendOptions(precision="bf16"))


def test_available_backends_returns_reasons() -> None:
    reasons = available_backends()
    assert reasons.keys() == {"onnx", "openvino", "tensorrt"}
    assert reasons["onnx"] == ""
    assert reasons["tensorrt"]


def test_require_stages_on_cpu_with_gpu_warns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnx_multistage, "has_nvidia_gpu", lambda: True)
    for device in ("auto", "cpu"):
        onnx_multistage.require_stages_on_cpu("M3", "auto", device, BackendOptions())
    (record,) = caplog.records
    assert (
        record.getMessage()
        == "faceaffect: running on the CPU with ONNX Runtime, since model 'M3' has several stages"
    )
    with pytest.raises(
        BackendError, match="'M3' has several stages, which run on the CPU; use --backend auto"
    ):
        onnx_multistage.require_stages_on_cpu("M3", "tensorrt", "auto", BackendOptions())
