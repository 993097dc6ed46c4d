"""The package's surface: names, types, import time, errors and silence."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import faceaffect

SDK = Path(str(faceaffect.__file__)).parent
MAX_IMPORT_S = 0.1

SNIPPET = """
import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

import faceaffect as fa


def images() -> Iterator[npt.NDArray[np.uint8]]:
    yield np.zeros((360, 640, 3), np.uint8)


def seen(progress: fa.Progress) -> None:
    print(progress.frames, progress.fps)


result: fa.Result = fa.analyze("clip.mp4", progress=seen, max_faces=2, precision="int8")
fa.analyze(images(), fps=25)
fa.analyze([Path("a.jpg"), "b.jpg", np.zeros((9, 9, 3), np.uint8)], pixel_format="RGB", jobs=2)
face: fa.FaceView = result[0].faces[0]
probability: float = face.action_units["AU12"]
names: list[str] = face.active_aus
part: fa.Result = result[2:5]
saved: Path = result.save("rows.csv", overwrite=True)
for frame in fa.stream(0):
    drawn: npt.NDArray[np.uint8] = frame.draw()
with fa.open_pipeline(backend="onnx", rotate="90") as pipeline:
    faces, affect = pipeline.analyze(np.zeros((9, 9, 3), np.uint8), pixel_format="RGB")
report: str = fa.Report(result).html()
share = result.summary()[0]["AU12_share"]


async def watch() -> None:
    async for frame in fa.astream("rtsp://host/path"):
        print(frame.index)


asyncio.run(watch())
"""
WRONG_LINES = {
    'fa.analyze("a.mp4", precision="fp64")': "precision",
    'fa.analyze("a.mp4", max_face=2)': "max_face",
    "fa.analyze(3.5)": "float",
    'fa.open_pipeline(backend="tensorflow")': "backend",
    "result[0].faces[0].action_units = {}": "read-only",
}


def run_mypy(folder: Path, text: str) -> str:
    (folder / "user.py").write_text(text)
    cache = f"--cache-dir={folder.parent / 'mypy_cache'}"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", cache, "user.py"]
    environment = {**os.environ, "MYPYPATH": str(SDK.parent)}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, check=False
    )
    return done.stdout + done.stderr


def test_user_code_passes_strict_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert (SDK / "py.typed").is_file()
    printed = run_mypy(tmp_path, SNIPPET)
    assert [line for line in printed.splitlines() if "user.py" in line] == []


def test_wrong_user_code_fails_strict_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    head = 'import faceaffect as fa\nresult = fa.analyze("a.mp4")\n'
    printed = run_mypy(tmp_path, head + "\n".join(WRONG_LINES))
    for number, (line, message) in enumerate(WRONG_LINES.items(), 3):
        errors = [one for one in printed.splitlines() if one.startswith(f"user.py:{number}:")]
        assert errors, line
        assert message in "\n".join(errors), printed


def test_dir_offers_public_names_only() -> None:
    assert set(dir(faceaffect)) == set(faceaffect.__all__)
    assert {"analyze", "stream", "astream", "Result", "Report", "FaceAnnotator"} <= set(
        faceaffect.__all__
    )


def test_all_lazy_names_have_types_for_checkers() -> None:
    """Every name of `__all__` is imported for type checkers from where it is loaded at run time."""
    tree = ast.parse((SDK / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(typed) | {"__version__"} == set(faceaffect.__all__)
    for name, module in typed.items():
        assert getattr(importlib.import_module(str(module)), name) is getattr(faceaffect, name)


def test_import_takes_at_most_a_tenth_of_a_second() -> None:
    program = (
        "import time; a = time.process_time(); import faceaffect; b = time.process_time();"
        "import sys; print(b - a, 'numpy' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert min(float(run.stdout.split()[0]) for run in runs) < MAX_IMPORT_S
    assert all(run.stdout.split()[1] == "False" for run in runs)


def modules() -> list[Path]:
    return sorted(SDK.rglob("*.py"))


def test_exceptions_have_one_root() -> None:
    outside = []
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [
            node.name
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and node.name.endswith("Error")
            and not node.name.startswith("_")
        ]
        if names:
            name = ".".join(path.relative_to(SDK.parent).with_suffix("").parts)
            module = importlib.import_module(name)
            outside += [
                f"{name}.{one}"
                for one in names
                if not issubclass(getattr(module, one), faceaffect.FaceAffectError)
            ]
    assert outside == []
    assert inspect.isclass(faceaffect.FaceAffectError)


def test_library_never_prints() -> None:
    """Only the command line and the benchmark write to the terminal."""
    wrong = []
    for path in modules():
        if path.relative_to(SDK).parts[0] in ("cli", "bench", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "click.echo",
                "sys.stderr.write",
                "sys.stdout.write",
            ):
                wrong.append(f"{path.relative_to(SDK)}:{node.lineno}")
    assert wrong == []
