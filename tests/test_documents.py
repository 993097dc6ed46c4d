"""Links of the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "training/**/*.md", "benchmarks/**/*.md", "assets/*.md")
    for path in ROOT.glob(pattern)
)
ANCHORED = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_links_exist(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (document.parent / link).exists()] == []


def anchors(document: Path) -> set[str]:
    """Anchors of the headings of a document, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = (line.lower().replace("`", "") for line in re.findall(r"^#+ (.+)$", text, re.M))
    return {re.sub(r"[^\w\- ]", "", one).strip().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_anchors_of_links_exist(document: Path) -> None:
    links = ANCHORED.findall(document.read_text(encoding="utf-8"))
    wrong = [
        f"{path}#{anchor}"
        for path, anchor in links
        if "://" not in path
        and (not path or path.endswith(".md"))
        and anchor not in anchors(document.parent / path if path else document)
    ]
    assert wrong == []


def test_documents_are_found() -> None:
    assert ROOT / "README.md" in DOCUMENTS
    assert len(DOCUMENTS) > 10
