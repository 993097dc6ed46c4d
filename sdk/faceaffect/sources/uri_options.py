"""The whole numbers behind the question mark of a camera's address."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from faceaffect.sources.source import SourceError


def uri_options(uri: str, allowed: tuple[str, ...]) -> dict[str, int]:
    """`?width=1280&fps=30` as a dict; a name that is not allowed or a value that is no number is an
    error.
    """
    found: dict[str, int] = {}
    for name, value in parse_qsl(urlsplit(uri).query, keep_blank_values=True):
        if name not in allowed or not value.isdecimal():
            raise SourceError(
                f"{uri}: options are whole numbers for {', '.join(allowed)}, got {name}={value}"
            )
        found[name] = int(value)
    return found
