"""`python -m benchmarks.gpu MODULE.FUNCTION ...`: runs one part of the GPU record."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from benchmarks.gpu.part import Part, Session, run_part
from faceaffect.bundle.bundle import open_bundle


def find_part(name: str) -> Part:
    """Import a part; on demand, so that one that needs PyTorch does not affect the others."""
    module, _, function = name.partition(".")
    part: Part = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), function)
    return part


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument(
        "--results",
        type=Path,
        required=True,
        help="JSON with the metrics and notes of earlier parts; this part adds its own",
    )
    options = parser.parse_args()
    results: Path = options.results
    earlier = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    session = Session(
        open_bundle(options.model),
        options.repeats,
        earlier.get("metrics", {}),
        earlier.get("notes", {}),
    )

    def emit(line: str) -> None:
        print(line, flush=True)
        # The next step may end the process.
        content = json.dumps({"metrics": session.metrics, "notes": session.notes})
        results.write_text(content, encoding="utf-8")

    run_part(lambda session: find_part(options.part)(session), session, emit)


if __name__ == "__main__":
    main()
