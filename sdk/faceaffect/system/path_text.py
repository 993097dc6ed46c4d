"""File names that are not UTF-8, as text that can be written anywhere.

Linux allows any bytes in a name; Python represents bytes that are not UTF-8 by lone surrogates,
which no text file can hold.
"""

from __future__ import annotations


def is_utf8(name: str) -> bool:
    """Whether `name` can be written as UTF-8."""
    return to_utf8_text(name) == name


def to_utf8_text(name: str) -> str:
    r"""`name` with bytes that are not UTF-8 escaped as `\udcff`."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
