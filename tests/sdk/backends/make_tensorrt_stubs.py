"""`python make_tensorrt_stubs.py OUT`: type stubs of several TensorRT releases, from NVIDIA's
public binding wheels.

The wheels hold the Python module without the library behind it. A stand-in library with the
missing names lets the module import, which is all that writing stubs needs. The stubs are
NVIDIA's signatures: they are made where they are used and never committed. Needs pip with a
package index, a C compiler and `pip install pybind11-stubgen`.
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


def fetch(requirement: str, folder: Path) -> None:
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


def make_stand_ins(module: Path) -> None:
    """Libraries that the module wants and this machine lacks, each with every name that nothing
    else defines.
    """
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


def without_syntax_errors(text: str) -> str:
    """Signatures that are no Python (defaults printed as objects) become ones that take anything."""
    lines = text.splitlines()
    while True:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            at = (error.lineno or 1) - 1
            found = re.match(r"(\s*)def (\w+)\(", lines[at])
            if found is None:
                raise
            lines[at] = (
                f"{found[1]}def {found[2]}(*args: typing.Any, **kwargs: typing.Any) -> typing.Any:"
            )
        else:
            return "\n".join(lines)


def with_hidden_conversions(text: str) -> str:
    """What pybind11 does and its signatures do not tell: sequences become Dims, and Dims can be
    iterated over.

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
        fetch(requirement, folder)
        (module,) = folder.glob("tensorrt_bindings/tensorrt*.so")
        make_stand_ins(module)
        (module.parent / "__init__.py").write_text("")
        paths = {"LD_LIBRARY_PATH": str(module.parent), "PYTHONPATH": str(folder)}
        made = folder / "made"
        options = ("--ignore-all-errors", "--root-suffix", "", "-o", str(made))
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
        found = made / "tensorrt_bindings" / "tensorrt"
        files = [found / "__init__.pyi"] if found.is_dir() else [found.with_suffix(".pyi")]
        text = (
            files[0].read_text(encoding="utf-8").replace("tensorrt_bindings.tensorrt", "tensorrt")
        )
        text = with_hidden_conversions(without_syntax_errors(text)) + "\n__version__: str\n"
        (package / "__init__.pyi").write_text(text, encoding="utf-8")


def main() -> None:
    out = Path(sys.argv[1])
    for release, requirement in RELEASES.items():
        make_stubs(requirement, out / release)
        print(f"{out / release}: stubs of {requirement}")


if __name__ == "__main__":
    main()
