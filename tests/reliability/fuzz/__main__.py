"""Fuzzes one target: `python -m tests.reliability.fuzz TARGET --minutes N [--no-atheris]`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.mutate_bytes import mutate
from tests.reliability.fuzz.targets import TARGETS, Target


def fuzz_with_atheris(target: Target, seconds: int) -> None:
    """Coverage-guided; libFuzzer ends the process and keeps the input of a finding."""
    import atheris

    corpus = Path(tempfile.mkdtemp(prefix="faceaffect-corpus-"))
    (corpus / "seed").write_bytes(target.seed())
    limits = [f"-max_total_time={seconds}", "-rss_limit_mb=6000", "-timeout=30"]
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *limits, str(corpus)], target.run)
    atheris.Fuzz()


def fuzz_with_mutations(target: Target, seconds: float, first: int) -> int:
    """Run mutations of the seed `first`, `first` + 1, ...; returns how many."""
    content, end_s, index = target.seed(), time.monotonic() + seconds, first
    while time.monotonic() < end_s:
        try:
            target.run(mutate(content, index))
        except BaseException:
            print(f"finding: mutation {index}", file=sys.stderr)
            raise
        index += 1
    return index - first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--no-atheris", action="store_true")
    options = parser.parse_args()
    target = TARGETS[options.target]
    if not options.no_atheris and importlib.util.find_spec("atheris") is not None:
        fuzz_with_atheris(target, max(1, int(60 * options.minutes)))
    else:
        count = fuzz_with_mutations(target, 60 * options.minutes, options.first)
        print(f"{options.target}: {count} mutations, no finding")


if __name__ == "__main__":
    main()
