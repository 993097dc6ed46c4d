"""pip keeps a system's OpenCV once the placeholder is written; real pip in an empty environment."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docker/use_system_opencv.py"
REQUIREMENT = "opencv-python-headless>=4.9,<6"

_spec = importlib.util.spec_from_file_location("use_system_opencv", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(module)


class Environment:
    """A virtual environment whose system has a fake OpenCV."""

    def __init__(self, folder: Path, opencv: str) -> None:
        venv.create(folder, with_pip=False)
        self.python = folder / "bin/python"
        (site,) = (folder / "lib").glob("python*/site-packages")
        self.site = site
        system = folder / "system"
        system.mkdir()
        (system / "cv2.py").write_text(f"__version__ = {opencv!r}\n")
        (site / "system.pth").write_text(f"{system}\n")
        needs = site / "needs_opencv-1.0.dist-info"
        needs.mkdir()
        (needs / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: needs-opencv\nVersion: 1.0\n"
            f"Requires-Dist: {REQUIREMENT}\n"
        )

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def test_placeholder_satisfies_pip_and_leaves_opencv_of_system(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv", "4.5.4")
    assert environment.pip("check").returncode == 1, "opencv-python-headless is missing"
    done = environment.run(SCRIPT)
    assert done.returncode == 0, done.stderr
    check = environment.pip("check")
    assert check.returncode == 0, check.stdout
    install = environment.pip("install", "--no-index", "--no-deps", REQUIREMENT)
    assert "already satisfied" in install.stdout, install.stderr
    assert environment.run("-c", "import cv2; print(cv2.__version__)").stdout == "4.5.4\n"
    assert "placeholder already" in environment.run(SCRIPT).stdout
    uninstall = environment.pip("uninstall", "-y", "opencv-python-headless")
    assert uninstall.returncode == 0, uninstall.stderr
    assert not list(environment.site.glob("opencv*"))


def test_script_without_system_opencv_fails(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv", "4.8.0")
    (environment.site / "system.pth").unlink()
    done = environment.run(SCRIPT)
    assert done.returncode == 1
    assert "--system-site-packages" in done.stderr


def test_script_with_opencv_from_pypi_fails(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv", "4.8.0")
    (environment.site / "system.pth").unlink()
    (environment.site / "cv2.py").write_text("__version__ = '4.10.0'\n")
    done = environment.run(SCRIPT)
    assert done.returncode == 1
    assert "expected the system's OpenCV, got" in done.stderr


@pytest.mark.parametrize(
    ("opencv", "expected"),
    [
        ("4.8.0", "4.9+system.4.8.0"),
        ("4.10.0-dev", "4.10.0+system.4.10.0"),
        ("5.0.0", "5.0.0+system.5.0.0"),
    ],
)
def test_placeholder_version_satisfies_requirement(opencv: str, expected: str) -> None:
    assert module.placeholder_version(opencv) == expected
