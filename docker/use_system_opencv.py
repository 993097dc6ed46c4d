"""`python docker/use_system_opencv.py`: makes pip keep the system's OpenCV instead of PyPI's.

OpenCV from PyPI has no GStreamer and hides the one of JetPack. pip does not know the system's,
since it was not installed as a Python package. This writes the metadata of
`opencv-python-headless` into the current environment, so that pip takes the requirement as
satisfied. No code is installed; the version names the real one behind a plus sign.
`pip uninstall opencv-python-headless` undoes it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import io
import re
import sys
import sysconfig
from pathlib import Path

NAME = "opencv-python-headless"
MIN_VERSION = "4.9"
"""Smallest version that satisfies faceaffect; JetPack 6 has 4.8 with the same functions."""


def placeholder_version(opencv: str) -> str:
    """Version that satisfies the requirement and names the real one, such as 4.9+system.4.8.0."""
    number = re.match(r"\d+(\.\d+)*", opencv)
    if number is None:
        raise SystemExit(f"expected a version of OpenCV such as 4.8.0, got {opencv!r}")
    parts = tuple(map(int, number.group(0).split(".")))
    minimum = tuple(map(int, MIN_VERSION.split(".")))
    return f"{number.group(0) if parts >= minimum else MIN_VERSION}+system.{number.group(0)}"


def write_metadata(site: Path, version: str) -> Path:
    """Write the metadata folder of the placeholder."""
    folder = site / f"{NAME.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n"
        "Summary: Placeholder for the system's OpenCV\n",
        "INSTALLER": "faceaffect\n",
    }
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
        size = len(content.encode())
        rows.writerow((f"{folder.name}/{name}", f"sha256={digest.decode().rstrip('=')}", size))
    rows.writerow((f"{folder.name}/RECORD", "", ""))
    (folder / "RECORD").write_text(record.getvalue(), encoding="utf-8")
    return folder


def main() -> None:
    """Check that the system's OpenCV is the one that is imported, and write the placeholder."""
    try:
        found = importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        found = ""
    if found and "+system." not in found:
        raise SystemExit(f"expected no {NAME}, got {found}; run `pip uninstall {NAME}` first")
    if found:
        print(f"{NAME} {found} is the placeholder already")
        return
    try:
        import cv2
    except ImportError as error:
        raise SystemExit(
            f"expected the system's OpenCV, got {error}; install python3-opencv and create the "
            "environment with --system-site-packages"
        ) from None
    site = Path(sysconfig.get_paths()["purelib"])
    if Path(cv2.__file__).is_relative_to(site):
        raise SystemExit(f"expected the system's OpenCV, got {cv2.__file__}; uninstall it with pip")
    print(f"wrote {write_metadata(site, placeholder_version(cv2.__version__))}")
    print(f"imported: {cv2.__file__}", file=sys.stderr)


if __name__ == "__main__":
    main()
