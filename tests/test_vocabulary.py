"""Terms that were replaced by those of the field must not come back into code, help or documents."""

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
    r"told_network|half_network|borrowed_network|tell_\w+": "delta",
    r"Follower|FollowSettings|look_plan|look_ahead|LookPlan|LookAhead": "tracker, detection schedule",
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
    r"\w*(?:normal|initial|optim|quant|recogn|regular|minim|maxim|organ|random|summar|serial)is(?:e|es|ed|er|ers|ing|ation)": "-ize",
    r"\w*analys(?:e|ed|er|ers|ing)": "analyze",
    r"colou?rs?(?<=our)|colours?|coloured|grey|greys|centres?|centred|behaviou?rs?(?<=iour)|neighbours?|labelled|unlabelled|labelling|licence": "American spelling",
}
"""Pattern of a replaced term (whole word, any case) to the term used instead."""

ALLOWED = {
    "tests/test_vocabulary.py",  # the list itself
}
EXCEPTIONS = re.compile(r"LICENCE_NOTE|peer[- ]to[- ]peer|otherwise|precise|peerdir", re.IGNORECASE)
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
