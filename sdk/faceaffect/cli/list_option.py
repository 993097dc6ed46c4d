"""Option values that are lists: `1,2,4` and `640x360,1920x1080`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import click

Parse = Callable[[click.Context, click.Parameter, Any], tuple[Any, ...]]
"""A callback of an option: text in, values out."""


def listed(
    kind: type[int] | type[float] | type[str],
    least: float = -math.inf,
    most: float = math.inf,
    among: Sequence[str] = (),
) -> Parse:
    """Values of one kind between commas, none twice; nothing given is no values. `among`, where
    given, are all there are.
    """

    def parse(_context: click.Context, _parameter: click.Parameter, text: Any) -> tuple[Any, ...]:
        parts = [part.strip() for part in (text or "").split(",")] if text is not None else []
        try:
            found = tuple(dict.fromkeys(kind(part) for part in parts))
        except ValueError:
            raise click.BadParameter(
                f"wanted {kind.__name__} values between commas, got {text!r}"
            ) from None
        if "" in found or not all(kind is str or least <= float(value) <= most for value in found):
            raise click.BadParameter(
                f"wanted values{_bounds(kind, least, most)} between commas, got {text!r}"
            )
        if among and not set(found) <= set(among):
            raise click.BadParameter(
                f"wanted some of {', '.join(among)} between commas, got {text!r}"
            )
        return found

    return parse


def _bounds(kind: type, least: float, most: float) -> str:
    if kind is str:
        return ""
    return f" of at least {least:g}" if math.isinf(most) else f" from {least:g} to {most:g}"


def listed_sizes(
    _context: click.Context, _parameter: click.Parameter, text: Any
) -> tuple[tuple[int, int], ...]:
    """Sizes like 640x360 between commas, as (width, height)."""
    found = []
    for part in text.lower().split(",") if text is not None else []:
        width, _, height = part.strip().partition("x")
        if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 32):
            raise click.BadParameter(
                f"wanted sizes like 640x360, at least 32 pixels a side, between commas, got {text!r}"
            )
        if max(int(width), int(height)) > 16384:
            raise click.BadParameter(f"wanted sizes of at most 16384 pixels a side, got {text!r}")
        found.append((int(width), int(height)))
    return tuple(dict.fromkeys(found))
