"""Our calls against NVIDIA's own signatures of several TensorRT releases, and the shipped networks
in a real builder.

Both need what cannot lie in the repository and `make tools` fetches: signatures
(FACEAFFECT_TENSORRT_STUBS names another folder) and TensorRT for RTX, which builds without a GPU
(FACEAFFECT_TENSORRT_RTX, a folder of packages). What it builds is a result with TensorRT for
RTX, and says nothing of any other TensorRT.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceaffect.bundle.bundle import SHIPPED_FOLDER, model_bytes, open_bundle
from faceaffect.bundle.model_spec import PRECISIONS

ROOT = Path(__file__).resolve().parents[3]
STUBS = Path(os.environ.get("FACEAFFECT_TENSORRT_STUBS") or ROOT / "build/tools/stubs")
RTX = Path(os.environ.get("FACEAFFECT_TENSORRT_RTX") or ROOT / "build/tools/rtx")
FILES = [
    ROOT / "sdk/faceaffect/backends" / f"{name}.py"
    for name in ("tensorrt_library", "build_engine", "tensorrt_engine")
]


def complaints(stubs: Path, files: list[Path], cache: Path) -> list[str]:
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
    # mypy names files under the folder it runs in without that folder.
    theirs = (str(stubs), os.path.relpath(stubs, ROOT))
    return [
        line
        for line in done.stdout.splitlines()
        if not line.startswith(theirs) and ": error:" in line
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy learns of NumPy and the rest serves all releases."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("release", ["10.3", "10.13", "11.4"])
def test_calls_fit_the_signatures_of(release: str, tmp_path: Path, cache: Path) -> None:
    stubs = STUBS / release
    if not (stubs / "tensorrt" / "__init__.pyi").is_file():
        pytest.skip("needs the signatures that `make tools` writes")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import tensorrt as trt\n\ndef f(c: trt.IBuilderConfig) -> None:\n    c.max_workspace_size = 1\n"
    )
    found = complaints(stubs, [*FILES, wrong], cache)
    assert [line for line in found if "wrong.py" not in line] == []
    assert any("wrong.py" in line for line in found), "the signatures must have been read"


@functools.cache
def rtx_environment() -> dict[str, str]:
    """That of a child process which imports TensorRT for RTX; skips the test where there is none."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(RTX), str(ROOT / "sdk")])}
    done = subprocess.run(
        [sys.executable, "-c", "import tensorrt_rtx"], capture_output=True, env=environment
    )
    if done.returncode != 0:
        pytest.skip("needs TensorRT for RTX, which `make tools` fetches")
    return environment


ONLY_IN_RTX = """
import tensorrt_rtx as trt
trt.BuilderFlag.REQUIRE_USER_ALLOCATION, trt.DynamicShapesKernelSpecializationStrategy.EAGER
trt.ICudaEngine.create_runtime_config, trt.IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy
"""


def test_what_is_asked_of_tensorrt_for_rtx_alone_is_called_so() -> None:
    """A name that it lacks is left out without a word, since no other TensorRT has it."""
    done = subprocess.run(
        [sys.executable, "-c", ONLY_IN_RTX], capture_output=True, text=True, env=rtx_environment()
    )
    assert done.returncode == 0, done.stderr


# A child process: what TensorRT does with a network it cannot stand may be to end the process.
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
plan = build_engine(library, Path(sys.argv[1]).read_bytes(), EngineSettings(sys.argv[2], 2, 112), Watcher())
print(json.dumps({"library": str(library), "bytes": len(plan), "phases": len(Watcher.phases)}))
"""


def build_with_rtx(onnx: Path, precision: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BUILD, str(onnx), precision]
    return subprocess.run(
        command, capture_output=True, text=True, env=rtx_environment(), timeout=280
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_networks_build_with_tensorrt_for_rtx(
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


def test_a_network_that_it_cannot_build_is_named(tmp_path: Path) -> None:
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


def test_a_build_that_is_interrupted_ends_and_says_so(trained: None) -> None:
    """Ctrl-C while the builder works: an exception out of its callback would end the process
    without a word.
    """
    done = build_with_rtx(SHIPPED_FOLDER / "default" / PRECISIONS["fp32"], "interrupted")
    assert done.returncode not in (0, -6, -11), "aborted or crashed"
    assert "KeyboardInterrupt: by the watcher" in done.stderr
