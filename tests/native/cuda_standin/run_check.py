"""Runs a module on the native module over the stand-in runtime, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.native.cuda_standin.build import HERE, INTERPRETER, ROOT, Standin

TIMEOUT_S = 240
CHECKS = "tests.native.cuda_standin.checks"


def run_module(
    standin: Standin, folder: Path, module: str, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments`.

    Args:
        standin: The build.
        folder: For cached engines.
        module: Name of the module.
        arguments: Its arguments.
        settings: Environment variables; empty ones are left out.
    """
    paths = (standin.package_path, ROOT, HERE / "doubles", sysconfig.get_path("purelib"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "FACEAFFECT_CACHE": str(folder / "engines"),
        "FACEAFFECT_STANDIN_LIBRARY": str(standin.library),
    }
    return subprocess.run(
        [*INTERPRETER, "-m", module, *arguments],
        capture_output=True,
        text=True,
        env=environment | {key: value for key, value in settings.items() if value},
        cwd=ROOT,
        timeout=TIMEOUT_S,
    )
