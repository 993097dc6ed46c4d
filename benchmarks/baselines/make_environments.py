"""Makes a virtual environment for each baseline, with the versions pinned in `baseline.py`.

Run `python -m benchmarks.baselines.make_environments [--to FOLDER] [NAME...]`. Environments with
other versions are replaced.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.baselines.baseline import BASELINES, Baseline, interpreter

ENVIRONMENTS = Path(".venv-baselines")
_COMPLETE = "requirements.txt"


def make_environment(baseline: Baseline, environments: Path) -> None:
    """Make the environment of a baseline, unless it is complete.

    Raises:
        CalledProcessError: A package cannot be installed.
    """
    folder = environments / baseline.name
    expected = "\n".join([*baseline.requirements, "", *baseline.requirements_no_deps])
    stamp = folder / _COMPLETE
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == expected:
        return
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    install = [str(interpreter(baseline, environments)), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *baseline.requirements], check=True)
    if baseline.requirements_no_deps:
        subprocess.run([*install, "--no-deps", *baseline.requirements_no_deps], check=True)
    stamp.write_text(expected, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Make the environments, and return 1 if one failed."""
    names = [baseline.name for baseline in BASELINES if not baseline.unavailable_reason]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.baselines.make_environments", description=__doc__
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all without one"
    )
    parser.add_argument("--to", type=Path, default=ENVIRONMENTS)
    arguments = parser.parse_args(argv)
    if unknown := sorted(set(arguments.names) - set(names)):
        parser.error(f"no such baseline: {', '.join(unknown)}; choose from {', '.join(names)}")
    failed = 0
    for baseline in BASELINES:
        if baseline.unavailable_reason or (
            arguments.names and baseline.name not in arguments.names
        ):
            continue
        try:
            make_environment(baseline, arguments.to)
            print(f"{baseline.name}: ready", flush=True)
        except subprocess.CalledProcessError as error:
            failed += 1
            print(
                f"{baseline.name}: not made, pip ended with {error.returncode}",
                file=sys.stderr,
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
