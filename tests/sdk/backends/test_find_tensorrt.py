"""Selection of the TensorRT package by name and version."""

from __future__ import annotations

from typing import Any

import pytest

from faceaffect.backends.build_engine import EngineSettings
from faceaffect.backends.tensorrt_compat import find_tensorrt
from tests.sdk.backends.fake_tensorrt import fake_tensorrt

SETTINGS = EngineSettings("fp32", 8, 112)


def importer(**modules: Any) -> Any:
    def find(name: str) -> Any:
        if isinstance(modules.get(name), Exception):
            raise modules[name]
        if name not in modules:
            raise ImportError(f"No module named {name!r}")
        return modules[name]

    return find


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9", "10.16.1", "11.0.0", "11.4.0.106"])
def test_find_tensorrt_accepts_supported_versions(version: str) -> None:
    library, reason = find_tensorrt(importer(tensorrt=fake_tensorrt(version)))
    assert (str(library), reason) == (f"TensorRT {version}", "")


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "12.0.0", "unknown"])
def test_find_tensorrt_rejects_other_versions(version: str) -> None:
    library, reason = find_tensorrt(importer(tensorrt=fake_tensorrt(version)))
    assert library is None
    assert version in reason
    assert "JetPack" in reason
    assert "--backend onnx" in reason


def test_find_tensorrt_falls_back_to_rtx() -> None:
    rtx = fake_tensorrt("1.7.1.116")
    for broken in (
        {},
        {"tensorrt": OSError("libnvinfer.so.10: cannot open")},
        {"tensorrt": fake_tensorrt("8.6.1")},
    ):
        library, _ = find_tensorrt(importer(tensorrt_rtx=rtx, **broken))
        assert library is not None
        assert library.is_rtx
        assert str(library) == "TensorRT for RTX 1.7.1.116"
    library, _ = find_tensorrt(importer(tensorrt_rtx=rtx, tensorrt=fake_tensorrt("11.4.0")))
    assert not library.is_rtx  # type: ignore[union-attr]
    _, reason = find_tensorrt(importer(tensorrt=OSError("libnvinfer.so.10: cannot open")))
    assert "libnvinfer.so.10: cannot open" in reason


def test_find_tensorrt_with_failing_import_names_error() -> None:
    library, reason = find_tensorrt(
        importer(tensorrt=AttributeError("module 'numpy' has no attribute 'bool'"))
    )
    assert library is None
    assert "tensorrt: AttributeError" in reason
    assert "has no attribute 'bool'" in reason
