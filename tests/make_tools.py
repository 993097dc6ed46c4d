"""Downloads optional tools of the tests: `python tests/make_tools.py FOLDER`.

FOLDER/rtx: TensorRT for RTX, which builds engines without a GPU; FOLDER/stubs: type stubs of
TensorRT releases; FOLDER/arm: a Python for 64-bit Arm. Existing folders are kept. Tests look in
build/tools.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TENSORRT_RTX = "tensorrt-rtx==1.7.1.116"
TIMEOUT_S = 600


def steps(out: Path) -> dict[str, list[str]]:
    """Returns the command that fills each folder."""
    python = sys.executable
    return {
        "rtx": [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(out / "rtx"),
            *rtx_packages(),
        ],
        "stubs": [python, str(HERE / "sdk/backends/make_tensorrt_stubs.py"), str(out / "stubs")],
        "arm": [python, str(HERE / "native/make_arm_python.py"), str(out / "arm")],
    }


def rtx_packages() -> list[str]:
    """Returns the package and its parts; NumPy is installed already."""
    release = TENSORRT_RTX.partition("==")[2]
    return [
        TENSORRT_RTX,
        *(f"tensorrt-rtx-cu13{part}=={release}" for part in ("", "-libs", "-bindings")),
    ]


def make(name: str, command: list[str], folder: Path) -> bool:
    """Fills a folder and returns True, or removes it and prints the reason."""
    if folder.is_dir():
        print(f"{name}: exists, {folder}")
        return True
    start_s = time.monotonic()
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        messages = str(getattr(error, "stderr", "") or error).strip().splitlines()
        reason = messages[-1] if messages else repr(error)
        print(f"{name}: not available, tests that need it are skipped: {reason}")
        shutil.rmtree(folder, ignore_errors=True)
        return False
    print(f"{name}: {folder}, {time.monotonic() - start_s:.0f} s")
    return True


def main() -> None:
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    results = [make(name, command, out / name) for name, command in steps(out).items()]
    if not all(results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
