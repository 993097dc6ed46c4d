"""Precision on the CPU, by processor and bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from faceaffect.backends import (
    BackendError,
    BackendOptions,
    cpu_model_selection,
    open_backend,
    registry,
)
from faceaffect.backends.cpu_model_selection import has_int8_dot_products, select_cpu_model
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.bundle.model_spec import INT8_CPU, BundleError
from tests.sdk.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path / "tiny"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni rdpid", True),
        ("flags\t\t: fpu avx2 avx_vnni", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni_like", False),
        ("Features\t: fp asimd aes asimddp", True),
        ("Features\t: fp asimd", False),
        ("", False),
    ],
)
def test_has_int8_dot_products_reads_cpu_flags(line: str, expected: bool, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\nmodel name\t: Some\n{line}\n", encoding="utf-8")
    assert has_int8_dot_products(info) is expected
    assert not has_int8_dot_products(tmp_path / "nowhere")


@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize("has_int8", [True, False])
def test_select_cpu_model_auto_is_int8_if_fast_and_available(
    bundle: Bundle, is_fast: bool, has_int8: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cpu_model_selection, "has_int8_dot_products", lambda: is_fast)
    small = open_bundle(write_tiny_bundle(tmp_path / "small", size_px=56)).onnx
    assert small != bundle.onnx
    bundle = replace(bundle, networks={INT8_CPU: small} if has_int8 else {})
    expected = (small, "int8") if is_fast and has_int8 else (bundle.onnx, "float32")
    assert select_cpu_model(bundle, BackendOptions(precision="auto")) == expected
    assert select_cpu_model(bundle, BackendOptions(precision="fp32")) == (bundle.onnx, "float32")


def test_select_cpu_model_with_unavailable_int8_raises(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_model_selection, "has_int8_dot_products", lambda: True)
    with pytest.raises(
        BundleError,
        match=r"expected model.int8-cpu.onnx .*export.add_precisions .* --precision int8-cpu",
    ):
        open_backend("onnx", bundle, options=BackendOptions(precision="int8"))
    monkeypatch.setattr(cpu_model_selection, "has_int8_dot_products", lambda: False)
    with pytest.raises(BackendError, match="int8 needs a processor with int8 dot products"):
        open_backend("onnx", bundle, options=BackendOptions(precision="int8"))


def test_open_backend_auto_on_cpu_runs_int8_of_bundle(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_model_selection, "has_int8_dot_products", lambda: True)
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: False)
    bundle = replace(bundle, networks={INT8_CPU: bundle.onnx})  # any valid network
    for precision, expected in (("auto", "int8"), ("int8", "int8"), ("fp32", "float32")):
        assert (
            open_backend("auto", bundle, options=BackendOptions(precision=precision)).precision
            == expected
        )
