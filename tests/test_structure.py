"""The rules of the house that a machine can check: sizes, names, twins, directions of import,
dependencies.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sdk", "training", "export", "benchmarks", "tests")
REFUSED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base"}

PYTHON_LINES, NATIVE_LINES, FUNCTION_LINES = 400, 250, 60

PYTHON_FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")) + [
    ROOT / "setup.py"
]
NATIVE_FILES = sorted(
    path for end in ("h", "cpp", "cu", "cuh") for path in (ROOT / "csrc").rglob(f"*.{end}")
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of imported modules and their lines; `from a import b` gives a.b too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def importing(folder: str, refused: set[str]) -> list[str]:
    """Places in `folder` that import one of the top-level packages `refused`."""
    return [
        f"{named(path)}:{line} imports {name}"
        for path in PYTHON_FILES
        if path.is_relative_to(ROOT / folder)
        for name, line in imported(path)
        if name.partition(".")[0] in refused
    ]


def test_there_is_something_to_check() -> None:
    assert len(PYTHON_FILES) > 50
    assert len(NATIVE_FILES) > 10


@pytest.mark.parametrize(
    ("files", "limit"), [(PYTHON_FILES, PYTHON_LINES), (NATIVE_FILES, NATIVE_LINES)]
)
def test_files_are_not_too_long(files: list[Path], limit: int) -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > limit} == {}


def test_functions_are_not_too_long() -> None:
    too_long = []
    for path in PYTHON_FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    too_long.append(f"{named(path)}:{node.lineno} {node.name}: {length} lines")
    assert too_long == []


def test_files_are_named_after_what_is_in_them() -> None:
    files = [*PYTHON_FILES, *NATIVE_FILES]
    parts = {
        (part, named(path))
        for path in files
        for part in (*path.relative_to(ROOT).parts[:-1], path.stem)
    }
    assert [where for part, where in sorted(parts) if part in REFUSED_NAMES] == []


def test_every_op_has_its_twins() -> None:
    found = re.search(r"set\(OPS ([\w ]+)\)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert found
    wanted = [
        f"csrc/{op}{end}" for op in found.group(1).split() for end in (".h", "_cpu.cpp", "_cuda.cu")
    ]
    assert [name for name in wanted if not (ROOT / name).is_file()] == []
    twins = {
        path.name.rpartition("_")[0]
        for path in NATIVE_FILES
        if path.name.endswith(("_cpu.cpp", "_cuda.cu"))
    }
    assert twins == set(found.group(1).split()), "a twin that the build does not know"


def test_imports_go_one_way() -> None:
    others = {"training", "export", "benchmarks", "tests"}
    assert importing("sdk", others | {"torch"}) == []
    assert importing("training", {"export", "benchmarks", "tests"}) == []
    assert importing("export", {"benchmarks", "tests"}) == []
    assert importing("benchmarks", {"tests"}) == []


def test_the_layers_of_the_sdk_know_nothing_of_those_above() -> None:
    above = {"pipeline", "cli", "sinks", "sources", "follow", "overlay", "overlay_panel"}
    low = ("types", "labels", "spec", "geometry", "decode", "smooth", "scene", "portrait", "bundle")
    files = [ROOT / "sdk" / "faceaffect" / f"{name}.py" for name in low]
    files += [
        path
        for name in ("kernels", "backends", "detectors")
        for path in (ROOT / "sdk/faceaffect" / name).glob("*.py")
    ]
    wrong = [
        f"{named(path)}:{line} imports {name}"
        for path in files
        for name, line in imported(path)
        if name.startswith("faceaffect.") and name.split(".")[1] in above
    ]
    assert wrong == []


def test_nothing_is_unpickled() -> None:
    """Neither `pickle` itself nor what reads it without being told not to."""
    found = []
    for path in PYTHON_FILES:
        found += [
            f"{named(path)}:{line}"
            for name, line in imported(path)
            if name.split(".")[0] in PICKLES
        ]
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and _may_unpickle(node):
                found.append(f"{named(path)}:{node.lineno}")
    assert found == []


PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}


def _may_unpickle(call: ast.Call) -> bool:
    given = {word.arg: word.value for word in call.keywords}
    called = ast.unparse(call.func)
    if called == "torch.load":
        allowed = given.get("weights_only")
        return not (isinstance(allowed, ast.Constant) and allowed.value is True)
    allowed = given.get("allow_pickle")
    return isinstance(allowed, ast.Constant) and bool(allowed.value)


DEPENDENCY = re.compile(
    r'^\s*(?:\w+ = )?\[?\s*"(?P<name>[\w.-]+)(?P<bounds>[^"]*)"\]?,?\s*(?P<reason>#.+)?$'
)


def dependency_lines() -> dict[str, str]:
    """Lines of pyproject.toml that name a dependency, by list and name."""
    section, key, lines = "", "", {}
    for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section, key = line.strip("[]"), ""
        elif started := re.match(r"(\w+) = \[", line):
            key = started.group(1)
        is_list = (section, key) == (
            "project",
            "dependencies",
        ) or section == "project.optional-dependencies"
        found = DEPENDENCY.match(line)
        if is_list and found:
            lines[f"{key} {found['name']}"] = line
    return lines


def test_every_dependency_is_bounded_and_has_its_reason() -> None:
    lines = dependency_lines()
    assert len(lines) >= 10
    wrong = []
    for name, line in lines.items():
        found = DEPENDENCY.match(line)
        assert found
        is_bounded = ">=" in found["bounds"] and re.search(r"<[\d]", found["bounds"])
        if not is_bounded or not found["reason"]:
            wrong.append(name)
    assert wrong == []


def test_public_names_exist() -> None:
    import faceaffect

    assert sorted(faceaffect.__all__) == sorted(set(faceaffect.__all__))
    assert [name for name in faceaffect.__all__ if getattr(faceaffect, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        _ = faceaffect.nothing_like_it
    assert sys.modules["faceaffect"] is faceaffect
