"""Parser of the integer options in a camera's address."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from faceaffect.sources.source import SourceError


def uri_options(uri: str, allowed: tuple[str, ...]) -> dict[str, int]:
    """Parse `?width=1280&fps=30` to a dict.

    Raises:
        SourceError: a name is not allowed or a value is not an integer.
    """
    options: dict[str, int] = {}
    for name, value in parse_qsl(urlsplit(uri).query, keep_blank_values=True):
        if name not in allowed or not value.isdecimal():
            raise SourceError(
                f"{uri}: expected integers for {', '.join(allowed)}, got {name}={value}"
            )
        options[name] = int(value)
    return options
