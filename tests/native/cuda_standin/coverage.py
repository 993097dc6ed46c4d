"""Line coverage of the CUDA C++ by the checks on the stand-in runtime, as a Markdown table.

`python -m tests.native.cuda_standin.coverage [FOLDER]` builds with gcov into FOLDER, runs every
check and ends with status 1 below `MIN_COVERED`. Kernels are not counted: their PTX runs, not
their C++.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.native.cuda_standin.build import ROOT, build, run
from tests.native.cuda_standin.run_check import CHECKS, run_module

MIN_COVERED = 0.85
FLAGS = "--coverage -fprofile-update=atomic"
SOURCES = (
    "check_cuda",
    "cuda_array",
    "cuda_kernels",
    "cuda_resources",
    "cuda_stream",
    "device_guard",
    "device_memory",
    "pack_upload",
)
CHECK_SETTINGS: dict[str, dict[str, str]] = {
    "kernels": {},
    "pipeline": {},
    "detector": {},
    "stress": {},
    "walking_face": {},
    "padded_download": {},
    "stale_error": {},
    "devices": {"FACEAFFECT_STANDIN_DEVICES": "2"},
    "exit": {},
    "zero_copy": {"FACEAFFECT_STANDIN_INTEGRATED": "1"},
    "freed_memory": {},
}
ARRAY_TESTS = ("-q", "-p", "no:cacheprovider", "tests/sdk/kernels/test_cuda_arrays.py")


def covered_lines(objects: tuple[Path, ...]) -> dict[str, tuple[int, int]]:
    """Executed and executable lines of each of `SOURCES`; a line counts once."""
    counts: dict[str, dict[int, int]] = {name: {} for name in SOURCES}
    with tempfile.TemporaryDirectory() as folder:
        for made in objects:
            name = made.name.removesuffix(".cpp.o")
            if name not in counts:
                continue
            data = made.with_name(f"{name}.cpp.gcda")
            run(["gcov", "--json-format", str(data)], cwd=Path(folder))
            (report,) = Path(folder).glob("*.gcov.json.gz")
            content: Any = json.loads(gzip.decompress(report.read_bytes()))
            report.unlink()
            for file in content["files"]:
                if Path(file["file"]).name == f"{name}.cpp":
                    for line in file["lines"]:
                        number = line["line_number"]
                        counts[name][number] = counts[name].get(number, 0) + line["count"]
    return {
        name: (sum(count > 0 for count in lines.values()), len(lines))
        for name, lines in counts.items()
    }


def main() -> None:
    folder = Path(sys.argv[1] if sys.argv[1:] else ROOT / "build/cuda_standin_coverage").resolve()
    standin = build(
        folder,
        extra=(f"-DCMAKE_CXX_FLAGS={FLAGS}", "-DCMAKE_MODULE_LINKER_FLAGS=--coverage"),
    )
    for data in folder.rglob("*.gcda"):
        data.unlink()
    failed = []
    with tempfile.TemporaryDirectory() as cache:
        for name, settings in CHECK_SETTINGS.items():
            done = run_module(standin, Path(cache), f"{CHECKS}.{name}", **settings)
            if done.returncode != 0:
                failed.append(f"{name}: {done.stdout[-300:]}{done.stderr[-300:]}")
        done = run_module(standin, Path(cache), "pytest", *ARRAY_TESTS)
        if done.returncode != 0:
            failed.append(done.stdout[-600:])
    rows = covered_lines(standin.native_objects)
    print("| file | lines | covered |", "|---|---|---|", sep="\n")
    for name, (covered, lines) in rows.items():
        print(f"| {name}.cpp | {lines} | {100 * covered / lines:.0f} % |")
    covered, lines = (sum(row[i] for row in rows.values()) for i in (0, 1))
    print(f"| all | {lines} | {100 * covered / lines:.1f} % |")
    if failed:
        print("checks failed:", *failed, sep="\n")
    sys.exit(bool(failed) or covered < MIN_COVERED * lines)


if __name__ == "__main__":
    subprocess.run(["gcov", "--version"], check=True, capture_output=True)
    main()
