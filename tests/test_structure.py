"""Rules of the source tree: sizes, file names, kernel implementations, dependencies, no pickle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # a dependency of pytest there

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sdk", "training", "export", "benchmarks", "tests")
REFUSED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}

MAX_PYTHON_LINES = 400
MAX_NATIVE_LINES = 250
MAX_FUNCTION_LINES = 60
MAX_ROOT_MODULES = 8
MAX_FORMAT_SKIPS = 9

PYTHON_FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
NATIVE_FILES = sorted(
    path for end in ("h", "cpp", "cu", "cuh") for path in (ROOT / "csrc").rglob(f"*.{end}")
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_modules(path: Path) -> Iterator[tuple[str, int]]:
    """Yields top-level names of imported modules and their lines."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno


def kernel_names() -> set[str]:
    match = re.search(r"set\(OPS ([\w ]+)\)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert match
    return set(match.group(1).split())


def test_source_files_are_found() -> None:
    assert len(PYTHON_FILES) > 50
    assert len(NATIVE_FILES) > 10


@pytest.mark.parametrize(
    ("files", "limit"), [(PYTHON_FILES, MAX_PYTHON_LINES), (NATIVE_FILES, MAX_NATIVE_LINES)]
)
def test_files_stay_below_the_line_limit(files: list[Path], limit: int) -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > limit} == {}


def test_functions_stay_below_the_line_limit() -> None:
    too_long = []
    for path in PYTHON_FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    too_long.append(f"{relative(path)}:{node.lineno} {node.name}: {length} lines")
    assert too_long == []


def test_sdk_root_has_few_modules() -> None:
    assert len(list((ROOT / "sdk/faceaffect").glob("*.py"))) <= MAX_ROOT_MODULES


def test_formatter_is_rarely_switched_off() -> None:
    skips = [
        f"{relative(path)}:{number}"
        for path in PYTHON_FILES
        if path.name != "test_structure.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"# fmt: (skip|off)", line)
    ]
    assert len(skips) <= MAX_FORMAT_SKIPS, skips


def test_file_names_name_a_subject() -> None:
    parts = {
        (part, relative(path))
        for path in [*PYTHON_FILES, *NATIVE_FILES]
        for part in (*path.relative_to(ROOT).parts[:-1], path.stem)
    }
    assert [name for part, name in sorted(parts) if part in REFUSED_NAMES] == []


def test_packages_only_hand_names_on() -> None:
    """A package's `__init__` holds imports, `__all__` and lazy lookups, and no class."""
    wrong = []
    for path in PYTHON_FILES:
        if path.name == "__init__.py":
            classes = [node for node in tree_of(path).body if isinstance(node, ast.ClassDef)]
            wrong += [f"{relative(path)}: {node.name}" for node in classes]
    assert wrong == []


def test_kernels_have_all_implementations() -> None:
    expected = [
        f"csrc/{op}{end}" for op in kernel_names() for end in (".h", "_cpu.cpp", "_cuda.cu")
    ]
    assert [name for name in expected if not (ROOT / name).is_file()] == []
    implemented = {
        path.name.rpartition("_")[0]
        for path in NATIVE_FILES
        if path.name.endswith(("_cpu.cpp", "_cuda.cu"))
    }
    assert implemented == kernel_names(), "an implementation that the build does not compile"


def test_nothing_is_unpickled() -> None:
    found = []
    for path in PYTHON_FILES:
        found += [
            f"{relative(path)}:{line}" for name, line in imported_modules(path) if name in PICKLES
        ]
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and may_unpickle(node):
                found.append(f"{relative(path)}:{node.lineno}")
    assert found == []


def may_unpickle(call: ast.Call) -> bool:
    """Returns whether a call of a loader leaves unpickling on."""
    keywords = {word.arg: word.value for word in call.keywords}
    if ast.unparse(call.func) == "torch.load":
        weights_only = keywords.get("weights_only")
        return not (isinstance(weights_only, ast.Constant) and weights_only.value is True)
    allow_pickle = keywords.get("allow_pickle")
    return isinstance(allow_pickle, ast.Constant) and bool(allow_pickle.value)


def test_dependencies_are_bounded_and_have_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    requirements = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        requirements += extra
    assert len(requirements) >= 10
    wrong = []
    for requirement in requirements:
        is_bounded = re.search(r">=\d", requirement) and re.search(r"<\d", requirement)
        has_reason = re.search(rf'"{re.escape(requirement)}"\]?,?\s+# \w', text)
        if not is_bounded or not has_reason:
            wrong.append(requirement)
    assert wrong == []


def test_import_contracts_hold() -> None:
    """Runs import-linter on the contracts in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    pytest.importorskip("importlinter")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_public_names_exist() -> None:
    import faceaffect

    assert sorted(faceaffect.__all__) == sorted(set(faceaffect.__all__))
    assert [name for name in faceaffect.__all__ if getattr(faceaffect, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        _ = faceaffect.nothing_like_it
    assert sys.modules["faceaffect"] is faceaffect
