"""Choosing a backend: the one that was asked for, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect import backends
from faceaffect.backends import BackendError, BackendOptions, available_backends, open_backend
from faceaffect.backends import onnx_multistage as onnx_stages
from faceaffect.backends import tensorrt_backend as tensorrt_engine
from faceaffect.bundle.bundle import Bundle, open_bundle
from tests.sdk.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path))


def test_auto_on_the_cpu_is_onnx(bundle: Bundle) -> None:
    assert open_backend("auto", bundle).name == "onnx"


def test_unknown_name_lists_the_known(bundle: Bundle) -> None:
    with pytest.raises(
        BackendError, match=r"one of \['onnx', 'openvino', 'tensorrt'\], got 'onxx'"
    ):
        open_backend("onxx", bundle)


def test_onnx_never_runs_elsewhere_than_asked(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match="'onnx' runs on device 'cpu' only, got 'cuda:0'"):
        open_backend("onnx", bundle, device="cuda:0")


def test_tensorrt_says_why_not_and_what_to_do(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tensorrt_engine, "unavailable_reason", lambda: "no driver; use --backend onnx"
    )
    with pytest.raises(BackendError, match=r"'tensorrt' cannot be used: .*use --backend onnx"):
        open_backend("tensorrt", bundle, device="cuda")


def test_auto_steps_down_with_one_line(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorrt_engine, "unavailable_reason", lambda: "TensorRT is missing")
    assert (
        open_backend("auto", bundle, device="cuda:0", options=BackendOptions(precision="fp16")).name
        == "onnx"
    )
    (record,) = caplog.records
    assert "running on the CPU with ONNX Runtime, since" in record.getMessage()
    assert "TensorRT is missing" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_machine_without_a_gpu_is_told_nothing(
    bundle: Bundle, device: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backends, "has_nvidia_gpu", lambda: False)
    assert open_backend("auto", bundle, device=device).name == "onnx"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (BackendOptions(precision="fp16"), "fp16"),
        (BackendOptions(precision="fp16", dla=1), "fp16 on DLA core 1"),
    ],
)
def test_auto_without_a_gpu_says_what_it_gives_up(
    bundle: Bundle,
    options: BackendOptions,
    wanted: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(backends, "has_nvidia_gpu", lambda: False)
    assert open_backend("auto", bundle, options=options).precision == "float32"
    assert [record.getMessage() for record in caplog.records] == [
        f"faceaffect: running on the CPU with ONNX Runtime in fp32, since {wanted} needs an NVIDIA GPU"
    ]
    with pytest.raises(
        BackendError, match=r"'onnx' runs on the CPU|CPU backends run in fp32 or int8"
    ):
        open_backend("auto", bundle, device="cpu", options=options)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_cpu_backends_have_no_dla(bundle: Bundle, name: str) -> None:
    if available_backends()[name]:
        pytest.skip(f"{name} is not installed")
    with pytest.raises(
        BackendError, match=f"'{name}' runs on the CPU, got DLA core 0; use --backend tensorrt"
    ):
        open_backend(name, bundle, options=BackendOptions(dla=0))


def test_cpu_backends_refuse_other_precisions(bundle: Bundle) -> None:
    with pytest.raises(
        BackendError, match="CPU backends run in fp32 or int8, got 'fp16'; use --backend tensorrt"
    ):
        open_backend("onnx", bundle, options=BackendOptions(precision="fp16"))
    with pytest.raises(
        BackendError, match="precision must be auto or one of fp32, fp16, int8, got 'bf16'"
    ):
        open_backend("onnx", bundle, options=BackendOptions(precision="bf16"))


def test_availability_gives_a_reason_or_nothing() -> None:
    reasons = available_backends()
    assert reasons.keys() == {"onnx", "openvino", "tensorrt"}
    assert reasons["onnx"] == ""
    assert reasons["tensorrt"]


def test_stages_on_a_machine_with_a_gpu_say_where_they_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnx_stages, "has_nvidia_gpu", lambda: True)
    for device in ("auto", "cpu"):
        onnx_stages.require_stages_on_cpu("M3", "auto", device, BackendOptions())
    (record,) = caplog.records
    assert (
        record.getMessage()
        == "faceaffect: running on the CPU with ONNX Runtime, since model 'M3' is made of stages"
    )
    with pytest.raises(
        BackendError, match="'M3' is made of stages, which run on the CPU; use --backend auto"
    ):
        onnx_stages.require_stages_on_cpu("M3", "tensorrt", "auto", BackendOptions())
