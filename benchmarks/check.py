"""A measured value and its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A measured value and its target; `is_met` is None if it was not measured."""

    name: str
    target: str
    measured: str
    is_met: bool | None


def at_most(name: str, limit: float, value: float, unit: str, digits: int = 2) -> Check:
    """Check that a value is no more than a limit."""
    return Check(name, f"at most {limit:g} {unit}", f"{value:.{digits}f} {unit}", value <= limit)
