"""Fixtures shared by all tests, and the rule that skips modules whose packages are missing."""

from __future__ import annotations

import ast
import importlib.util
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from faceaffect.pipeline import Pipeline, open_pipeline

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
FOLDER_REQUIRES = {"training": ("torch", "onnx"), "export": ("torch", "onnx")}
OPTIONAL = {
    "ai_edge_litert",
    "av",
    "fastapi",
    "fsspec",
    "httpx",
    "jinja2",
    "matplotlib",
    "ipykernel",
    "moderngl",
    "nbclient",
    "onnx",
    "pandas",
    "paho",
    "parselmouth",
    "playwright",
    "polars",
    "prometheus_client",
    "pyarrow",
    "pylsl",
    "pympi",
    "pythonosc",
    "ray",
    "schemathesis",
    "scipy",
    "sklearn",
    "tensorboard",
    "torch",
    "uvicorn",
    "websockets",
    "zmq",
}
"""Packages of extras; a test module that imports one or lists it in REQUIRES needs it."""


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes of tests also where a background shell made them ignore it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class SkippedModule(pytest.Module):
    """A test module whose packages are missing."""

    reason = ""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        pytest.skip(self.reason, allow_module_level=True)


def required_packages(path: Path) -> set[str]:
    """Top-level names of the optional packages that a test module needs."""
    needed = set(FOLDER_REQUIRES.get(path.relative_to(Path(__file__).parent).parts[0], ()))
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            needed |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            needed.add(node.module)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REQUIRES":
            needed |= set(ast.literal_eval(node.value))
    return {name.partition(".")[0] for name in needed} & OPTIONAL


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    missing = sorted(
        p for p in required_packages(module_path) if importlib.util.find_spec(p) is None
    )
    if not missing:
        return None
    module: SkippedModule = SkippedModule.from_parent(parent, path=module_path)
    module.reason = f"needs {', '.join(missing)}, which is not installed"
    return module


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of faces and clips; tests that need it have the mark `shared`."""
    if not (SHARED / "data" / "videos").is_dir():
        pytest.skip(f"needs the clips in {SHARED.name}/data/videos beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def trained() -> None:
    """Skips tests of the default model where this checkout has none."""
    from faceaffect.bundle.bundle import DEFAULT_NAME, SHIPPED_MODELS_DIR

    if not (SHIPPED_MODELS_DIR / DEFAULT_NAME).is_dir():
        pytest.skip("needs the shipped model, sdk/faceaffect/models/default")


@pytest.fixture(scope="module")
def opened(trained: None) -> Iterator[Pipeline]:
    with open_pipeline() as pipeline:
        yield pipeline


@pytest.fixture
def pipeline(opened: Pipeline) -> Pipeline:
    """The default pipeline, reset before each test."""
    opened.reset()
    return opened
