"""The TensorRT plugin of the graph layer, run on the host.

The plugin is compiled against the interface declared in `plugin_interface` and, if available,
against TensorRT's headers (FACEAFFECT_TENSORRT_INCLUDE names their folder unless the system has
them). TensorRT itself is not used.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.kernel_cases import graph_weights
from faceaffect.kernels import reference

ROOT = Path(__file__).resolve().parents[2]
TENSORRT = [Path(os.environ.get("FACEAFFECT_TENSORRT_INCLUDE") or "/usr/include")]
TENSORRT += [Path(f"/usr/include/{machine}-linux-gnu") for machine in ("x86_64", "aarch64")]
STAND_IN = ROOT / "tests/native/plugin_interface"
CUDA = [Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda") / "include", Path("/usr/include")]
SOURCES = ["tests/native/plugin_cases.cpp", "tests/native/plugin_kernel.cpp", "csrc/check_cuda.cpp"]
SOURCES += [
    f"csrc/tensorrt_plugin/{name}.cpp"
    for name in ("graph_weights", "au_gcn_plugin", "au_gcn_creator")
]


def find_header_folder(header: str, folders: list[Path]) -> Path:
    match = next((folder for folder in folders if (folder / header).is_file()), None)
    if match is None:
        pytest.skip(f"needs {header}; set FACEAFFECT_TENSORRT_INCLUDE or CUDA_HOME")
    return match


def compile_plugin(target: Path, include: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Compiles the plugin and its test driver as a library; skips without a suitable compiler."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    folders = [include, find_header_folder("cuda_runtime_api.h", CUDA)]
    command = [
        compiler,
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "-ffp-contract=off",
        "-DFACEAFFECT_ON_HOST",
        *more,
        "-Wno-unknown-pragmas",  # the kernel's are nvcc's
    ]
    command += [
        '-DFACEAFFECT_CUDA_ARCHITECTURES="0"',
        f"-I{ROOT / 'csrc'}",
        f"-I{ROOT / 'tests/native'}",
    ]
    command += [part for folder in folders for part in ("-isystem", str(folder))]
    done = subprocess.run(
        [*command, "-o", str(target), *SOURCES], capture_output=True, text=True, cwd=ROOT
    )
    if "_Float16" in done.stderr:
        pytest.skip("this compiler has no 16-bit floats on the host")
    return done


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    built = tmp_path_factory.mktemp("plugin") / "plugin.so"
    done = compile_plugin(built, STAND_IN, "-Wall", "-Wextra", "-Werror")
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(built))


def test_plugin_compiles_with_tensorrt_headers(tmp_path: Path) -> None:
    done = compile_plugin(
        tmp_path / "plugin.so",
        find_header_folder("NvInferRuntime.h", TENSORRT),
        "-Wall",
        "-Wextra",
        "-Werror",
    )
    assert done.returncode == 0, done.stderr


def run(
    library: ctypes.CDLL,
    widths: list[int],
    flat: np.ndarray,
    nodes: np.ndarray,
    width: int | None = None,
) -> tuple[int, np.ndarray]:
    out = np.full((len(nodes), 12), np.nan, np.float32)
    sizes = np.array(widths, np.int32)
    code = library.run_plugin(
        ctypes.c_void_p(sizes.ctypes.data),
        len(sizes),
        ctypes.c_void_p(flat.ctypes.data),
        flat.size,
        ctypes.c_void_p(nodes.ctypes.data),
        ctypes.c_int64(len(nodes)),
        ctypes.c_int64(width or nodes.shape[2]),
        int(nodes.dtype == np.float16),
        ctypes.c_void_p(out.ctypes.data),
    )
    assert ctypes.c_int.in_dll(library, "living_allocations").value == 0, (
        "the memory of the weights must be freed"
    )
    return int(code), out


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("width", "layers", "count"), [(64, 2, 3), (5, 1, 1), (16, 0, 2)])
def test_plugin_equals_graph_layer(
    library: ctypes.CDLL, dtype: type, width: int, layers: int, count: int
) -> None:
    weights = graph_weights(width, layers)
    nodes = np.random.default_rng(width).standard_normal((count, 12, width)).astype(dtype)
    code, out = run(library, weights.packed.widths, weights.packed.flat(), nodes)
    assert code == 0
    expected = reference.au_gcn(nodes.astype(np.float32), weights)
    tolerance = 1e-4 if dtype is np.float32 else 3e-2
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_plugin_with_invalid_attributes_or_inputs_fails(
    library: ctypes.CDLL, capfd: pytest.CaptureFixture[str]
) -> None:
    weights = graph_weights(5, 1)
    widths, flat, nodes = (
        list(weights.packed.widths),
        weights.packed.flat(),
        np.zeros((1, 12, 5), np.float32),
    )
    assert run(library, widths, flat[:-1].copy(), nodes)[0] == 1
    assert run(library, [0, *widths[1:]], flat, nodes)[0] == 1
    assert run(library, [], flat, nodes)[0] == 1
    assert run(library, widths, np.full_like(flat, np.nan), nodes)[0] == 1
    assert run(library, widths, flat, nodes, width=6)[0] == 4
    errors = capfd.readouterr().err
    assert f"weights must hold {flat.size} numbers for these widths, got {flat.size - 1}" in errors
    assert "widths must be from 1 to 512, got 0" in errors
    assert "widths must hold 1 to 9 numbers, got 0" in errors
    assert "weights must be finite" in errors
    assert "the input must be [N, 12, 5], got 3 dimensions, the last two 12 and 6" in errors
