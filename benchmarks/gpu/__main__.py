"""`python -m benchmarks.gpu MODULE.FUNCTION ...`: one part of the GPU record in a process of its
own, a line at a time.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from benchmarks.gpu.part import Part, Session, run_part
from faceaffect.bundle.bundle import open_bundle


def find_part(where: str) -> Part:
    """Imported here: a part that needs PyTorch must not cost the others."""
    module, _, name = where.partition(".")
    found: Part = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument(
        "--learned", type=Path, required=True, help="JSON of the parts before; this one adds to it"
    )
    options = parser.parse_args()
    learned = (
        json.loads(options.learned.read_text(encoding="utf-8")) if options.learned.is_file() else {}
    )
    session = Session(
        open_bundle(options.model),
        options.repeats,
        learned.get("figures", {}),
        learned.get("notes", {}),
    )

    def say(line: str) -> None:
        print(line, flush=True)
        # What comes next may end the process.
        options.learned.write_text(
            json.dumps({"figures": session.figures, "notes": session.notes}), encoding="utf-8"
        )

    run_part(lambda given: find_part(options.part)(given), session, say)


if __name__ == "__main__":
    main()
