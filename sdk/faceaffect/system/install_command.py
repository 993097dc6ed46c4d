"""The command that installs an extra, as this package was installed."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote, urlsplit


def install_command(extra: str) -> str:
    """Return the command that installs `faceaffect[extra]` from where faceaffect came from.

    The package index need not have what was installed from a checkout or a wheel.
    """
    try:
        origin = json.loads(distribution("faceaffect").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = str(origin.get("url", ""))
    if "dir_info" in origin and url.startswith("file://"):
        path = unquote(urlsplit(url).path)
        editable = "-e " if origin["dir_info"].get("editable") else ""
        return f'pip install {editable}"{path}[{extra}]"'
    if url:
        return f'pip install "faceaffect[{extra}] @ {url}"'
    return f'pip install "faceaffect[{extra}]"'
