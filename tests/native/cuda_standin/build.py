"""Builds `_native` from the project's CUDA objects with the stand-in runtime in place of CUDA's.

CMake compiles the project's objects; the PTX that they hold is translated to C++. Only what changed
is built again.
"""

from __future__ import annotations

import fcntl
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.native.cuda_standin.ptx_to_cpp import ptx_of_object, translate

INTERPRETER = (sys.executable, "-S")
"""Starts Python without .pth files: those of an editable install precede PYTHONPATH."""
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
RUNTIME_LIBRARY = re.compile(
    r"(.*/)?(libcudart(_static)?|libcudadevrt)\.(a|so.*)|-lcudart(_static)?|-lcudadevrt"
)
CMAKE_OPTIONS = (
    "-DFACEAFFECT_CUDA=ON",
    "-DFACEAFFECT_CUDA_ARCHS=87",
    "-DCMAKE_CUDA_FLAGS=-no-compress",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1",  # compiles in half the time
)


class BuildError(Exception):
    """A step of the build failed, with the end of its output."""


@dataclass(frozen=True)
class Standin:
    """What the build made.

    Attributes:
        library: The stand-in runtime with the translated kernels.
        package_path: Folder for PYTHONPATH: the package with the native module linked to it.
        native_objects: Objects of the native module that CMake compiled.
    """

    library: Path
    package_path: Path
    native_objects: tuple[Path, ...]


def run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        raise BuildError(f"{shlex.join(command)[:400]}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def program(name: str) -> str:
    """Path of a program, on PATH or beside this Python."""
    beside = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        raise BuildError(f"{name} is not on PATH")
    return found


def missing_tools() -> list[str]:
    tools = []
    for name in ("nvcc", "g++", "nm", "cmake", "ninja"):
        try:
            program(name)
        except BuildError:
            tools.append(name)
    if find_spec("pybind11") is None:
        tools.append("pybind11")
    return tools


def is_older(made: Path, origins: list[Path]) -> bool:
    return not made.exists() or any(
        origin.stat().st_mtime > made.stat().st_mtime for origin in origins
    )


def configure(source: Path, build: Path, extra: tuple[str, ...]) -> None:
    pybind11 = run([sys.executable, "-m", "pybind11", "--cmakedir"]).strip()
    command = [program("cmake"), "-S", str(source), "-B", str(build), "-G", "Ninja"]
    command += [f"-DCMAKE_MAKE_PROGRAM={program('ninja')}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    command += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11}"]
    command += [*CMAKE_OPTIONS, *extra]
    done = build / "configured"
    if not done.exists() or done.read_text() != shlex.join(command):
        build.mkdir(parents=True, exist_ok=True)
        run(command)
        done.write_text(shlex.join(command))


def link_command(build: Path, target: str) -> list[str]:
    """The words of CMake's own link command."""
    lines = run([program("ninja"), "-C", str(build), "-t", "commands", target]).strip()
    parts = lines.splitlines()[-1].split("&&")
    return shlex.split(next(part for part in parts if f" -o {target} " in part))


def link_package(sdk: Path, to: Path, native: Path) -> None:
    """Fill `to` with links to the package's files and the native module built here."""
    stem = native.name.split(".")[0]
    wanted = {
        path.relative_to(sdk)
        for path in sdk.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if not path.name.startswith(f"{stem}.") or path.suffix == ".pyi"
    }
    here = {path.relative_to(to) for path in to.rglob("*") if path.is_symlink()}
    for path in here - wanted:
        (to / path).unlink()
    for path in wanted - here:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).symlink_to(sdk / path)
    place = to / "faceaffect/kernels" / native.name
    if is_older(place, [native]):
        place.unlink(missing_ok=True)
        shutil.copy2(native, place)


def cuda_folder(nvcc: str) -> str:
    """Folder of the CUDA toolkit."""
    dry = subprocess.run([nvcc, "-dryrun", "-c", "x.cu"], capture_output=True, text=True)
    top = re.search(r"TOP=(\S+)", dry.stderr)
    return top[1] if top else "/usr/local/cuda"


def build_library(folder: Path, with_ptx: list[Path], include: list[str]) -> Path:
    """The stand-in runtime and the kernels translated from the PTX in `with_ptx`."""
    kernels, library = folder / "kernels.cpp", folder / "libcudart_standin.so"
    headers = [HERE / "ptx_host.h", HERE / "runtime.h"]
    if is_older(kernels, [*with_ptx, HERE / "ptx_to_cpp.py"]):
        kernels.write_text(translate(text for path in with_ptx for text in ptx_of_object(path)))
    objects = []
    for source in (kernels, *sorted(HERE.glob("runtime_*.cpp"))):
        objects.append(folder / f"{source.stem}.o")
        if is_older(objects[-1], [source, *headers]):
            # One rounding per operation, as in PTX; translated code has unused labels.
            flags = ["-std=c++17", "-fPIC", "-O1", "-ffp-contract=off", "-w", f"-I{HERE}"]
            run(["g++", *flags, *include, "-c", str(source), "-o", str(objects[-1])])
    if is_older(library, objects):
        names = [str(path) for path in objects]
        run(["g++", "-shared", f"-Wl,-soname,{library.name}", "-o", str(library), *names])
    return library


def missing_calls(native: Path, library: Path) -> list[str]:
    """CUDA calls of the native module that the stand-in does not have."""

    def symbols(path: Path, kind: str) -> set[str]:
        lines = run([program("nm"), "-D", kind, str(path)]).splitlines()
        return {line.split()[-1].split("@")[0] for line in lines if line.strip()}

    wanted = {s for s in symbols(native, "--undefined-only") if re.match(r"_*cuda[A-Z]", s)}
    return sorted(wanted - symbols(library, "--defined-only"))


def build(folder: Path, source: Path = ROOT, extra: tuple[str, ...] = ()) -> Standin:
    """Build into `folder` from the checkout `source`, with further CMake options."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(folder, source, extra)


def _build(folder: Path, source: Path, extra: tuple[str, ...]) -> Standin:
    cmake = folder / "cmake"
    configure(source, cmake, extra)
    run([program("ninja"), "-C", str(cmake), "build.ninja"])
    installed = (cmake / "cmake_install.cmake").read_text()
    module = re.search(r'TYPE MODULE[^"]*FILES "([^"]+)"', installed)
    if module is None:
        raise BuildError("cmake_install.cmake names no module")
    target = Path(module[1]).name
    words = link_command(cmake, target)
    objects = [word for word in words if word.endswith(".o")]
    run([program("ninja"), "-C", str(cmake), *objects])
    commands = json.loads((cmake / "compile_commands.json").read_text())
    outputs = {re.search(r" -o (\S+)", entry["command"])[1]: entry for entry in commands}  # type: ignore[index]
    cuda_objects = [cmake / word for word in objects if outputs[word]["file"].endswith(".cu")]
    nvcc = next(
        shlex.split(entry["command"])[0] for entry in commands if entry["file"].endswith(".cu")
    )
    library = build_library(folder, cuda_objects, [f"-I{cuda_folder(nvcc)}/include"])

    native = folder / target
    command = [str(native) if word == target else word for word in words]
    command = [word for word in command if not RUNTIME_LIBRARY.fullmatch(word)]
    command += [str(library), f"-Wl,-rpath,{folder}"]
    if is_older(native, [library, *(cmake / word for word in objects)]):
        run(command, cwd=cmake)
    missing = missing_calls(native, library)
    if missing:
        raise BuildError(f"the stand-in runtime lacks {', '.join(missing)}; add them to it")
    package = folder / "package"
    link_package(source / "sdk", package, native)
    return Standin(library, package, tuple(cmake / word for word in objects))
