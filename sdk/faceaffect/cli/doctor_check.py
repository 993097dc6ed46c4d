"""One finding of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`is_needed`: the default path does not work without it."""

    name: str
    found: str
    is_fine: bool = True
    is_needed: bool = False
