"""Makes an environment for each peer: `python -m benchmarks.baselines.make_environments [--to
FOLDER] [NAME...]`.

Versions are pinned in `peer.py`. An environment that is complete is left alone, one of other
versions is made anew.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.baselines.baseline import PEERS, Peer, interpreter

ENVIRONMENTS = Path(".venv-peers")
_COMPLETE = "requirements.txt"


def make_environment(peer: Peer, environments: Path) -> None:
    """Raises CalledProcessError where a package cannot be installed."""
    folder = environments / peer.name
    wanted = "\n".join([*peer.requirements, "", *peer.alone])
    stamp = folder / _COMPLETE
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    install = [str(interpreter(peer, environments)), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *peer.requirements], check=True)
    if peer.alone:
        subprocess.run([*install, "--no-deps", *peer.alone], check=True)
    stamp.write_text(wanted, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """One line per peer; 1 where an environment could not be made."""
    names = [peer.name for peer in PEERS if not peer.unavailable_reason]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.baselines.make_environments", description=__doc__
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all without one"
    )
    parser.add_argument("--to", type=Path, default=ENVIRONMENTS)
    arguments = parser.parse_args(argv)
    if unknown := sorted(set(arguments.names) - set(names)):
        parser.error(f"no such peer: {', '.join(unknown)}; choose from {', '.join(names)}")
    failed = 0
    for peer in PEERS:
        if peer.unavailable_reason or (arguments.names and peer.name not in arguments.names):
            continue
        try:
            make_environment(peer, arguments.to)
            print(f"{peer.name}: ready", flush=True)
        except subprocess.CalledProcessError as error:
            failed += 1
            print(
                f"{peer.name}: not made, pip ended with {error.returncode}",
                file=sys.stderr,
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
