"""Checks of `doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from faceaffect.bench.machine import processor_name
from faceaffect.cli.doctor_check import Check
from faceaffect.system.install_command import install_command


def run_checks() -> list[Check]:
    """Run every check; one that raises is reported as a failed check."""
    checks: list[Check] = []
    for check in (
        _system,
        _opencv,
        _kernels,
        _backends,
        _detector,
        _default_model,
        _accelerator,
        _extras,
    ):
        checks += _run(check)
    return checks


_REQUIRED: Final = frozenset({"_opencv", "_kernels", "_backends", "_detector", "_default_model"})


def _run(check: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(check())
    except Exception as error:
        name = check.__name__.strip("_").replace("_", " ")
        return [Check(name, f"{type(error).__name__}: {error}", False, check.__name__ in _REQUIRED)]


def _system() -> Iterator[Check]:
    yield Check(
        "faceaffect", _package_version("faceaffect") or "not installed (run from a checkout)"
    )
    yield Check(
        "python",
        f"{platform.python_version()} ({sys.executable})",
        (3, 10) <= sys.version_info[:2] <= (3, 12),
    )
    yield Check("platform", platform.platform())
    yield Check("cpu", f"{processor_name()}, {os.cpu_count()} logical cores")


def _opencv() -> Iterator[Check]:
    from faceaffect.system.import_opencv import import_opencv

    cv2 = import_opencv()
    build_lines = cv2.getBuildInformation().splitlines()
    yield Check("opencv", cv2.__version__, is_required=True)
    advice = {
        "FFMPEG": "no video files or rtsp:// (use opencv-python-headless from PyPI)",
        "GStreamer": "no csi:// cameras (on a Jetson use the OpenCV of JetPack)",
        "v4l/v4l2": "no cameras by number",
    }
    for name, missing in advice.items():
        is_built_in = any(
            line.strip().startswith(f"{name}:") and "YES" in line for line in build_lines
        )
        detail = "yes" if is_built_in else missing
        yield Check(f"opencv {name}", detail, is_built_in, is_required=name == "FFMPEG")


def _kernels() -> Iterator[Check]:
    from faceaffect import kernels

    info = kernels.build_info()
    yield Check("kernels", str(info), is_required=True)


def _backends() -> Iterator[Check]:
    from faceaffect.backends import available_backends

    for name, reason in available_backends().items():
        yield Check(f"backend {name}", reason or "usable", not reason, is_required=name == "onnx")


def _detector() -> Iterator[Check]:
    from faceaffect.detectors.mtcnn import MTCNNDetector

    yield Check("detector", MTCNNDetector(40).name, is_required=True)


def _default_model() -> Iterator[Check]:
    from faceaffect.bundle.bundle import open_bundle

    bundle = open_bundle()
    yield Check(
        "default model", f"{bundle.spec.name}, checksums match ({bundle.path})", is_required=True
    )


def _accelerator() -> Iterator[Check]:
    from faceaffect.cli.nvidia_checks import nvidia_checks

    yield from nvidia_checks()


def _extras() -> Iterator[Check]:
    for extra, module in (
        ("parquet", "pyarrow"),
        ("openvino", "openvino"),
        ("report", "matplotlib"),
        ("bench", "matplotlib"),
    ):
        is_installed = importlib.util.find_spec(module) is not None
        advice = f"not installed: {install_command(extra)}"
        detail = (_package_version(module) or "installed") if is_installed else advice
        yield Check(f"extra {extra}", detail, is_installed)


def _package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
