"""Builds the native kernels with CMake; everything else stands in pyproject.toml.

Without a C++ compiler or CMake the package installs in pure Python and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
PROGRAMS = {"cmake": "cmake>=3.18,<5", "ninja": "ninja>=1.10,<2"}


class BuildWithCMake(build_ext):
    """Puts `_native` where setuptools expects it; `pip install -e .` then finds it in the source
    tree.
    """

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        build = Path(self.build_temp).resolve() / "cmake"
        try:
            self._run_cmake(build)
            built = next(path for path in build.glob(f"_native*{target.suffix}") if path.is_file())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(built, target)
        except (ImportError, OSError, StopIteration, subprocess.CalledProcessError) as error:
            if os.environ.get("FACEAFFECT_NATIVE") == "ON":
                raise
            failed = isinstance(error, subprocess.CalledProcessError)
            reason = "CMake or the compiler failed, see above" if failed else error
            print(
                f"faceaffect: native kernels not built ({reason}); NumPy will do their work",
                file=sys.stderr,
            )

    def _run_cmake(self, build: Path) -> None:
        import pybind11

        options = {
            "CMAKE_BUILD_TYPE": "Release",
            "Python_EXECUTABLE": sys.executable,
            "pybind11_DIR": pybind11.get_cmake_dir(),
            "FACEAFFECT_CUDA": os.environ.get("FACEAFFECT_CUDA", "AUTO"),
            "FACEAFFECT_CUDA_ARCHS": os.environ.get("FACEAFFECT_CUDA_ARCHS", ""),
            "FACEAFFECT_WERROR": os.environ.get("FACEAFFECT_WERROR", "OFF"),
        }
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        arguments = [f"-D{name}={value}" for name, value in options.items()]
        subprocess.run(
            ["cmake", "-S", str(ROOT), "-B", str(build), *generator, *arguments], check=True
        )
        jobs = str(os.cpu_count() or 1)
        subprocess.run(
            ["cmake", "--build", str(build), "--config", "Release", "-j", jobs], check=True
        )

    def get_outputs(self) -> list[str]:
        return [path for path in super().get_outputs() if Path(path).is_file()]


setup(
    ext_modules=[Extension("faceaffect.kernels._native", sources=[], optional=True)],
    cmdclass={"build_ext": BuildWithCMake},
    setup_requires=[need for program, need in PROGRAMS.items() if shutil.which(program) is None],
)
