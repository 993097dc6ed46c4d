"""`python make_tensorrt_stubs.py OUT`: writes type stubs of several TensorRT releases.

NVIDIA's public binding wheels contain the Python module without its library. A dummy library with
the missing symbols lets the module import, which is enough to write stubs. The stubs are NVIDIA's
signatures and are never committed. Needs pip with a package index, a C compiler and
`pip install pybind11-stubgen`.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

RELEASES = {
    "10.3": "tensorrt-cu12-bindings==10.3.0",
    "10.13": "tensorrt-cu13-bindings==10.13.3.9",
    "11.4": "tensorrt-cu13-bindings==11.4.0.106",
}


def run(*command: str, **more: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | more
    ).stdout


def download(requirement: str, folder: Path) -> None:
    run(
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
        requirement,
    )
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)


def make_dummy_libraries(module: Path) -> None:
    """Make the missing libraries of a module, each with all its undefined symbols."""
    missing = [
        line.split()[0] for line in run("ldd", str(module)).splitlines() if "not found" in line
    ]
    names = {
        line.split()[-1] for line in run("nm", "-D", "--undefined-only", str(module)).splitlines()
    }
    plain = sorted(
        name
        for name in names
        if "@" not in name and not name.startswith(("Py", "_Py", "__", "_ITM"))
    )
    source = module.with_suffix(".c")
    source.write_text("".join(f"void *{name}[64];\n" for name in plain))
    for library in missing:
        run("cc", "-shared", "-fPIC", "-w", "-o", str(module.parent / library), str(source))


def replace_syntax_errors(text: str) -> str:
    """Replace signatures that are not valid Python (defaults printed as objects) by `*args`."""
    lines = text.splitlines()
    while True:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            index = (error.lineno or 1) - 1
            match = re.match(r"(\s*)def (\w+)\(", lines[index])
            if match is None:
                raise
            lines[index] = (
                f"{match[1]}def {match[2]}(*args: typing.Any, **kwargs: typing.Any) -> typing.Any:"
            )
        else:
            return "\n".join(lines)


def add_implicit_conversions(text: str) -> str:
    """Add conversions that pybind11 does but its signatures lack: sequences to Dims, iterable Dims.

    The module also has a data type called `bool`, which the annotations do not mean.
    """
    text = re.sub(
        r"(\w+): Dims(?=[,)])", r"\1: Dims | tuple[typing.Any, ...] | list[typing.Any]", text
    )
    text = re.sub(r"(-> |\w: )bool(?=[,):])", r"\1builtins.bool", text)
    text = re.sub(
        r"^(class Dims\b.*:)$",
        r"\1\n    def __iter__(self) -> typing.Iterator[builtins.int]: ...",
        text,
        flags=re.M,
    )
    return text.replace(
        "import typing\n", "import builtins\nimport typing\nimport typing_extensions\n", 1
    )


def make_stubs(requirement: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        download(requirement, folder)
        (module,) = folder.glob("tensorrt_bindings/tensorrt*.so")
        make_dummy_libraries(module)
        (module.parent / "__init__.py").write_text("")
        paths = {"LD_LIBRARY_PATH": str(module.parent), "PYTHONPATH": str(folder)}
        stubs = folder / "stubs"
        options = ("--ignore-all-errors", "--root-suffix", "", "-o", str(stubs))
        run(
            sys.executable,
            "-m",
            "pybind11_stubgen",
            "tensorrt_bindings.tensorrt",
            *options,
            **paths,
        )
        package = out / "tensorrt"
        package.mkdir(parents=True, exist_ok=True)
        generated = stubs / "tensorrt_bindings" / "tensorrt"
        files = (
            [generated / "__init__.pyi"] if generated.is_dir() else [generated.with_suffix(".pyi")]
        )
        text = (
            files[0].read_text(encoding="utf-8").replace("tensorrt_bindings.tensorrt", "tensorrt")
        )
        text = add_implicit_conversions(replace_syntax_errors(text)) + "\n__version__: str\n"
        (package / "__init__.pyi").write_text(text, encoding="utf-8")


def main() -> None:
    out = Path(sys.argv[1])
    for release, requirement in RELEASES.items():
        make_stubs(requirement, out / release)
        print(f"{out / release}: stubs of {requirement}")


if __name__ == "__main__":
    main()
