"""FFmpeg's logging must not need the interpreter's lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"
CODE = """
import sys
from faceaffect.sources.open_source import open_source
for _ in range(30):
    with open_source(sys.argv[1]) as source:
        next(iter(source))
print("closed")
"""


def test_closing_while_decoding_does_not_hang() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(DEMO)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "closed\n"
    assert done.stderr == ""
