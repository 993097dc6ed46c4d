"""Selection of the instruction set, and the fallback without the native module."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from faceaffect import kernels
from faceaffect.kernels.native import native

WITHOUT_NATIVE = """
import sys, warnings
sys.modules["faceaffect.kernels._native"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from faceaffect import kernels
    import faceaffect.kernels.reference
assert [w.category for w in caught] == [RuntimeWarning], caught
assert "NumPy" in str(caught[0].message)
import numpy as np
from faceaffect.types import Frame
frame = Frame(np.full((9, 9, 3), 255, np.uint8))
crop_to_frame = np.eye(2, 3, dtype=np.float32)[None]
crops = kernels.crop_face(frame, crop_to_frame, size_px=9, mean=(0, 0, 0), std=(1, 1, 1))
assert (crops == 1).all()
info = kernels.build_info()
assert info.isa == "numpy" and not info.native and info.problem
"""


def run(code: str, isa: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "FACEAFFECT_ISA"}
    if isa:
        environment["FACEAFFECT_ISA"] = isa
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_kernels_without_native_module_warn_once() -> None:
    result = run(WITHOUT_NATIVE)
    assert result.returncode == 0, result.stderr


def test_isa_variable_selects_instruction_set() -> None:
    result = run("from faceaffect import kernels; print(kernels.build_info().isa)", "baseline")
    assert result.stdout.strip() == "baseline", result.stderr


def test_isa_variable_with_unknown_value_raises() -> None:
    result = run("import faceaffect.kernels", "vax")
    assert result.returncode != 0
    assert "FACEAFFECT_ISA must be one of ['baseline'" in result.stderr
    assert "got 'vax'" in result.stderr


def test_build_info_describes_native_module() -> None:
    info = kernels.build_info()
    assert info.native
    assert info.compiled_isas[0] == "baseline"
    assert info.isa in info.usable_isas
    assert set(info.usable_isas) <= set(info.compiled_isas)
    assert info.has_cuda == bool(info.cuda_architectures)


@pytest.mark.skipif(not kernels.build_info().has_cuda, reason="built without CUDA")
def test_cuda_without_device_names_remedy() -> None:
    code = (
        "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "from faceaffect.kernels.cuda import Stream\nStream()"
    )
    result = run(code)
    assert "CudaError: looking for a GPU: " in result.stderr
    assert "use --device cpu" in result.stderr


def test_native_module_is_built() -> None:
    assert native is not None, "build it: pip install -e ."
