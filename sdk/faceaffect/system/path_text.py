"""Names of files that are not UTF-8, as text that can be written anywhere.

Linux allows any bytes in a name; Python carries those that are no UTF-8 as lone surrogates,
which no file of text can hold.
"""

from __future__ import annotations


def is_utf8(name: str) -> bool:
    return to_utf8_text(name) == name


def to_utf8_text(name: str) -> str:
    """The name itself, or with its odd bytes as `\\udcff` where it is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
