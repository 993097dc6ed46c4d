"""Type checks against the signatures of several TensorRT releases, and real builds of the shipped
models with TensorRT for RTX.

Both need files that `make tools` downloads: type stubs (or FACEAFFECT_TENSORRT_STUBS, a folder)
and TensorRT for RTX, which builds without a GPU (or FACEAFFECT_TENSORRT_RTX, a folder of
packages). These builds say nothing about other flavors of TensorRT.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceaffect.bundle.bundle import SHIPPED_MODELS_DIR, model_bytes, open_bundle
from faceaffect.bundle.model_spec import PRECISIONS

ROOT = Path(__file__).resolve().parents[3]
STUBS = Path(os.environ.get("FACEAFFECT_TENSORRT_STUBS") or ROOT / "build/tools/stubs")
RTX = Path(os.environ.get("FACEAFFECT_TENSORRT_RTX") or ROOT / "build/tools/rtx")
FILES = [
    ROOT / "sdk/faceaffect/backends" / f"{name}.py"
    for name in ("tensorrt_compat", "build_engine", "engine_network", "tensorrt_backend")
]


def type_errors(stubs: Path, files: list[Path], cache: Path) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--follow-imports=silent",
    ]
    environment = os.environ | {"MYPYPATH": os.pathsep.join([str(stubs), str(ROOT / "sdk")])}
    done = subprocess.run(
        [*command, "--cache-dir", str(cache), *map(str, files)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert "Found" in done.stdout or "Success" in done.stdout, done.stdout + done.stderr
    # mypy prints paths relative to its working folder.
    stub_paths = (str(stubs), os.path.relpath(stubs, ROOT))
    return [
        line
        for line in done.stdout.splitlines()
        if not line.startswith(stub_paths) and ": error:" in line
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One mypy cache for all releases."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("release", ["10.3", "10.13", "11.4"])
def test_tensorrt_calls_match_signatures(release: str, tmp_path: Path, cache: Path) -> None:
    stubs = STUBS / release
    if not (stubs / "tensorrt" / "__init__.pyi").is_file():
        pytest.skip("needs the type stubs that `make tools` writes")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import tensorrt as trt\n\n"
        "def f(c: trt.IBuilderConfig) -> None:\n    c.max_workspace_size = 1\n"
    )
    errors = type_errors(stubs, [*FILES, wrong], cache)
    assert [line for line in errors if "wrong.py" not in line] == []
    assert any("wrong.py" in line for line in errors), "the signatures must have been read"


@functools.cache
def rtx_environment() -> dict[str, str]:
    """Environment of a child process with TensorRT for RTX; skips the test if it is missing."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(RTX), str(ROOT / "sdk")])}
    done = subprocess.run(
        [sys.executable, "-c", "import tensorrt_rtx"], capture_output=True, env=environment
    )
    if done.returncode != 0:
        pytest.skip("needs TensorRT for RTX, which `make tools` downloads")
    return environment


ONLY_IN_RTX = """
import tensorrt_rtx as trt
trt.BuilderFlag.REQUIRE_USER_ALLOCATION, trt.DynamicShapesKernelSpecializationStrategy.EAGER
trt.ICudaEngine.create_runtime_config
trt.IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy
"""


def test_tensorrt_for_rtx_has_names_used_for_it_only() -> None:
    """A missing name would be skipped silently, since no other TensorRT has it."""
    done = subprocess.run(
        [sys.executable, "-c", ONLY_IN_RTX], capture_output=True, text=True, env=rtx_environment()
    )
    assert done.returncode == 0, done.stderr


# A child process: TensorRT may abort the process on an unsupported network.
BUILD = """
import json, sys
from pathlib import Path
from faceaffect.backends.build_engine import EngineSettings, build_engine
from faceaffect.backends.tensorrt_compat import find_tensorrt
class Watcher:
    phases = set()
    def step(self, phase, done, steps):
        self.phases.add(phase)
        if sys.argv[2] == "interrupted":
            raise KeyboardInterrupt("by the watcher")
def only_rtx(name):
    if name != "tensorrt_rtx":
        raise ImportError(name)
    import tensorrt_rtx
    return tensorrt_rtx
library, reason = find_tensorrt(only_rtx)
onnx = Path(sys.argv[1]).read_bytes()
plan = build_engine(library, onnx, EngineSettings(sys.argv[2], 2, 112), Watcher())
print(json.dumps({"library": str(library), "bytes": len(plan), "phases": len(Watcher.phases)}))
"""


def build_with_rtx(onnx: Path, precision: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BUILD, str(onnx), precision]
    return subprocess.run(
        command, capture_output=True, text=True, env=rtx_environment(), timeout=280
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_build_engine_of_shipped_models_with_rtx(
    precision: str, trained: None, tmp_path: Path
) -> None:
    rtx_environment()
    file = tmp_path / "network.onnx"
    file.write_bytes(model_bytes(open_bundle(), precision))
    done = build_with_rtx(file, precision)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["bytes"] > 100_000
    assert answer["phases"] > 0


def test_build_engine_of_unsupported_network_with_rtx_raises(tmp_path: Path) -> None:
    rtx_environment()
    from onnx import TensorProto, helper

    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["N", 3, 112, 112])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node("Unique", ["crops"], ["out"])], "bad", [crops], [out]
    )
    file = tmp_path / "bad.onnx"
    file.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    )
    done = build_with_rtx(file, "fp32")
    assert done.returncode != 0
    assert "TensorRT for RTX" in done.stderr
    assert "cannot read the network" in done.stderr


def test_build_engine_with_rtx_when_interrupted_raises(trained: None) -> None:
    """An exception that leaves the builder's callback would abort the process."""
    done = build_with_rtx(SHIPPED_MODELS_DIR / "default" / PRECISIONS["fp32"], "interrupted")
    assert done.returncode not in (0, -6, -11), "aborted or crashed"
    assert "KeyboardInterrupt: by the watcher" in done.stderr
