"""Replaced terms must not come back into code, help or documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sdk", "training", "export", "benchmarks", "csrc", "docs", "tests", "assets")
ENDINGS = {".py", ".pyi", ".md", ".h", ".cpp", ".cu", ".cmake", ".toml", ".sh", ".html"}

REPLACED = {
    r"pictures?": "image",
    r"sounds?|soundless": "audio",
    r"newcomers?": "new face",
    r"second opinion|SecondOpinion": "face verifier",
    r"told_network|half_network|borrowed_network|tell_(?:half|borrowed|network)": "delta",
    r"Follower|FollowSettings": "tracker",
    r"look_plan|look_ahead|LookPlan|LookAhead": "detection schedule, prefetch",
    r"stretch(es)?": "segment, chunk",
    r"seams?": "segment boundary",
    r"made[- _]up": "synthetic",
    r"was wanted|were wanted|is wanted": "expected X, got Y",
    r"gone on with|goes on from|go on from": "resume",
    r"shared out|sharing out|share out": "split across processes",
    r"rivals?|peers?": "baseline",
    r"kept_pictures|KeptPictures": "BufferPool",
    r"FaceReading|FaceReader": "FaceOutputs, FaceNetwork",
    r"quiet_opencv": "import_opencv",
    r"\w*(?:normal|initial|optim|quant|regular)is(?:e[drs]?|ers|ing|ation)": "-ize",
    r"\w*(?:recogn|minim|maxim)is(?:e[drs]?|ers|ing|ation)": "-ize",
    r"\w*(?:organ|random|summar|serial|visual|synchron)is(?:e[drs]?|ers|ing|ation)": "-ize",
    r"\w*analys(?:e|ed|er|ers|ing)": "analyze",
    r"colours?|coloured|greys?|centres?|centred|behaviours?|neighbours?": "American spelling",
    r"(?:un)?labelled|labelling|licen[c]es?": "American spelling",
}
"""Pattern of a replaced term (whole word, any case) to the term used instead."""

ALLOWED = {
    "tests/test_vocabulary.py",  # the list itself
}
EXCEPTIONS = re.compile(r"\"grey\"|LICENCE_NOTE|peer[- ]to[- ]peer|otherwise|precise|peerdir", re.IGNORECASE)
PATTERNS = {re.compile(rf"\b(?:{term})\b", re.IGNORECASE): new for term, new in REPLACED.items()}

FILES = sorted(
    path
    for path in [
        *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*")),
        *ROOT.glob("*.md"),
        ROOT / "pyproject.toml",
        ROOT / "CMakeLists.txt",
        ROOT / "Makefile",
    ]
    if path.suffix in ENDINGS or path.name == "Makefile"
)


def replaced_terms(text: str) -> list[str]:
    """Lines (number, term and replacement) that use a replaced term."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        line = EXCEPTIONS.sub("", line)
        for pattern, new in PATTERNS.items():
            match = pattern.search(line)
            if match:
                found.append(f"{number}: {match.group(0)!r} -> {new}")
    return found


def test_sources_use_no_replaced_terms() -> None:
    assert len(FILES) > 300
    found = []
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if name not in ALLOWED:
            found += [f"{name}:{line}" for line in replaced_terms(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("a picture of a face", True),
        ("def optimiser(): ...", True),
        ("x must be a number, a list was wanted", True),
        ("an image of a face", False),
        ("promise", False),
        ("otherwise", False),
    ],
)
def test_replaced_terms_are_recognized(line: str, is_found: bool) -> None:
    assert bool(replaced_terms(line)) is is_found
