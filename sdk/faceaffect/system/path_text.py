"""File names and addresses as text that can be written and shown anywhere.

Linux allows any bytes in a name; Python represents bytes that are not UTF-8 by lone surrogates,
which no text file can hold. Control characters in a name are commands to a terminal.
"""

from __future__ import annotations

import re
from typing import Final

# C0, DEL and C1 controls, line separators and the marks that reorder text.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PASSWORD: Final = re.compile(r"(?<=://)([^/?#\s:@]*):[^/?#\s]*@")


def is_utf8(name: str) -> bool:
    """Whether `name` can be written as UTF-8."""
    return to_utf8_text(name) == name


def to_utf8_text(name: str) -> str:
    r"""`name` with bytes that are not UTF-8 escaped as `\udcff`."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def printable_text(text: str) -> str:
    r"""`text` with control characters as visible escapes such as `\x1b`, in UTF-8."""
    return _CONTROLS.sub(_escape, to_utf8_text(text))


def printable_message(message: str) -> str:
    """A message for people: printable lines without the passwords of addresses."""
    return "\n".join(printable_text(line) for line in redact_passwords(message).split("\n"))


def redact_passwords(text: str) -> str:
    """`text` with the passwords of addresses such as `rtsp://user:password@host` as `***`."""
    return _PASSWORD.sub(r"\1:***@", text) if "://" in text else text


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
