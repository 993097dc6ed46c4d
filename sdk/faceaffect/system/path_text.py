"""File names, addresses and texts of others as text that can be written and shown anywhere.

Linux allows any bytes in a name; Python represents bytes that are not UTF-8 by lone surrogates,
which no text file can hold. Names may also hold escape sequences, which a terminal would obey.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_OBEYED: Final = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp"])
_JOINERS: Final = frozenset("\u200c\u200d\u00ad")
"""Format characters that scripts need; they neither move the cursor nor reorder text."""
_PASSWORD: Final = re.compile(r"(?<=://)([^/?#\s:@]*):[^/?#\s]*@")


def is_utf8(name: str) -> bool:
    """Whether `name` can be written as UTF-8."""
    return to_utf8_text(name) == name


def to_utf8_text(name: str) -> str:
    r"""`name` with bytes that are not UTF-8 escaped as `\udcff`."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def printable_text(text: str, *, keeps_lines: bool = False) -> str:
    r"""`text` without anything that a terminal obeys, for names and texts that others wrote.

    Control characters (C0, DEL and C1: escape sequences start with them), line and paragraph
    separators, marks that reorder text and lone surrogates are escaped as `\x1b` or `\u202e`.

    Args:
        text: File name, name of a model, license or the like.
        keeps_lines: Whether line feeds and tabs stay, as in a text of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if keeps_lines else ""
    return "".join(
        char if char in kept or _is_harmless(char) else ascii(char)[1:-1] for char in text
    )


def _is_harmless(char: str) -> bool:
    # Cc: control, Cf: reorders or hides text (joiners and variation of scripts stay), Cs: lone
    # surrogates, Zl and Zp: separators of lines and paragraphs.
    return unicodedata.category(char) not in _OBEYED or char in _JOINERS


def printable_message(message: str) -> str:
    """A message for people: printable lines without the passwords of addresses."""
    return "\n".join(printable_text(line) for line in redact_passwords(message).split("\n"))


def redact_passwords(text: str) -> str:
    """`text` with the passwords of addresses such as `rtsp://user:password@host` as `***`."""
    return _PASSWORD.sub(r"\1:***@", text) if "://" in text else text
