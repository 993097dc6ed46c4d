"""Which precision a CPU runs, by what its processor says and what the bundle holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from faceaffect.backends import BackendError, BackendOptions, open_backend
from faceaffect.backends import cpu_model_selection as cpu_precision
from faceaffect.backends.cpu_model_selection import has_int8_dot_products, select_cpu_model
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.bundle.model_spec import INT8_CPU, BundleError
from tests.sdk.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path / "tiny"))


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni rdpid", True),
        ("flags\t\t: fpu avx2 avx_vnni", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni_like", False),
        ("Features\t: fp asimd aes asimddp", True),
        ("Features\t: fp asimd", False),
        ("", False),
    ],
)
def test_the_processor_is_asked(line: str, wanted: bool, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\nmodel name\t: Some\n{line}\n", encoding="utf-8")
    assert has_int8_dot_products(info) is wanted
    assert not has_int8_dot_products(tmp_path / "nowhere")


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("held", [True, False])
def test_auto_is_int8_only_where_it_is_fast_and_there(
    bundle: Bundle, fast: bool, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_precision, "has_int8_dot_products", lambda: fast)
    bundle = replace(bundle, networks={INT8_CPU: b"small"} if held else {})
    wanted = (b"small", "int8") if fast and held else (bundle.onnx, "float32")
    assert select_cpu_model(bundle, BackendOptions(precision="auto")) == wanted
    assert select_cpu_model(bundle, BackendOptions(precision="fp32")) == (bundle.onnx, "float32")


def test_what_was_asked_for_and_cannot_be_had_says_so(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_precision, "has_int8_dot_products", lambda: True)
    with pytest.raises(
        BundleError,
        match=r"model.int8-cpu.onnx is wanted .*export.add_precisions .* --precision int8-cpu",
    ):
        open_backend("onnx", bundle, options=BackendOptions(precision="int8"))
    monkeypatch.setattr(cpu_precision, "has_int8_dot_products", lambda: False)
    with pytest.raises(BackendError, match="int8 needs a processor with dot products of bytes"):
        open_backend("onnx", bundle, options=BackendOptions(precision="int8"))


def test_auto_backend_runs_int8_on_the_cpu_where_the_bundle_brings_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_precision, "has_int8_dot_products", lambda: True)
    monkeypatch.setattr("faceaffect.backends.has_nvidia_gpu", lambda: False)
    bundle = replace(bundle, networks={INT8_CPU: bundle.onnx})  # any network that runs
    for precision, wanted in (("auto", "int8"), ("int8", "int8"), ("fp32", "float32")):
        assert (
            open_backend("auto", bundle, options=BackendOptions(precision=precision)).precision
            == wanted
        )
