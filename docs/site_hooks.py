"""Hooks of the documentation site.

Pages link to files of the repository with relative paths, which hold in a checkout; on the site
they become links to the repository. The changelog and the image of the README are added to the
pages.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ADDED = {"changelog.md": ROOT / "CHANGELOG.md", "assets/overlay.webp": ROOT / "assets/overlay.webp"}
LINK = re.compile(r"(\]\()((?!\w+:|#|/)[^)\s]+)(\))")


def on_files(files: Files, config: Any) -> Files:
    """Add files of the repository that belong to the site."""
    for name, path in ADDED.items():
        content: Any = path.read_bytes()
        text = content.decode("utf-8") if name.endswith(".md") else content
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files outside of the site into links to the repository."""
    folder = "" if page.file.src_uri == "changelog.md" else "docs"

    def absolute(match: re.Match[str]) -> str:
        path, mark, anchor = match.group(2).partition("#")
        target = posixpath.normpath(posixpath.join(folder, path))
        inside = target.removeprefix("docs/")
        if target.startswith("docs/") and files.get_file_from_path(inside) is not None:
            return f"{match.group(1)}{inside}{mark}{anchor}{match.group(3)}"
        if not (ROOT / target).exists():
            return match.group(0)  # a wrong link: mkdocs --strict reports it
        url = f"{config.repo_url}/blob/main/{target}{mark}{anchor}"
        return f"{match.group(1)}{url}{match.group(3)}"

    return LINK.sub(absolute, markdown)
