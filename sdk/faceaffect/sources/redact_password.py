"""Hides the password of an address."""

from __future__ import annotations

from urllib.parse import urlsplit


def redact_password(uri: str) -> str:
    """Return the address as it may be shown and stored."""
    try:
        parts = urlsplit(uri)
        password = parts.password
    except ValueError:  # no address, such as a file name with brackets
        return uri
    if password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()
