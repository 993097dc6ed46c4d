"""Click callbacks for option values: lists such as `1,2,4` or `640x360,1920x1080`, and `5%`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

ParseCallback = Callable[[click.Context, click.Parameter, Any], tuple[Any, ...]]

_MIN_SIDE_PX: Final = 32
_MAX_SIDE_PX: Final = 16384


def comma_separated(
    kind: type[int] | type[float] | type[str],
    minimum: float = -math.inf,
    maximum: float = math.inf,
    choices: Sequence[str] = (),
) -> ParseCallback:
    """Return a callback that parses a list of distinct values.

    Args:
        kind: Type of the values.
        minimum: Smallest number that is accepted.
        maximum: Largest number that is accepted.
        choices: Strings that are accepted; empty for any.

    Returns:
        A click callback that returns a tuple, empty if the option was not passed. It raises
        BadParameter for values that are not accepted.
    """

    def parse(_context: click.Context, _parameter: click.Parameter, text: Any) -> tuple[Any, ...]:
        parts = [part.strip() for part in (text or "").split(",")] if text is not None else []
        try:
            values = tuple(dict.fromkeys(kind(part) for part in parts))
        except ValueError:
            raise click.BadParameter(
                f"expected {kind.__name__} values separated by commas, got {text!r}"
            ) from None
        if "" in values or not all(
            kind is str or minimum <= float(value) <= maximum for value in values
        ):
            raise click.BadParameter(
                f"expected values{_describe_range(kind, minimum, maximum)} separated by commas,"
                f" got {text!r}"
            )
        if choices and not set(values) <= set(choices):
            raise click.BadParameter(
                f"expected values out of {', '.join(choices)} separated by commas, got {text!r}"
            )
        return values

    return parse


def _describe_range(kind: type, minimum: float, maximum: float) -> str:
    if kind is str:
        return ""
    return f" >= {minimum:g}" if math.isinf(maximum) else f" from {minimum:g} to {maximum:g}"


def frame_sizes(
    _context: click.Context, _parameter: click.Parameter, text: Any
) -> tuple[tuple[int, int], ...]:
    """Parse sizes such as 640x360, separated by commas, as (width, height)."""
    sizes = []
    for part in text.lower().split(",") if text is not None else []:
        width, _, height = part.strip().partition("x")
        if not (
            width.isdecimal()
            and height.isdecimal()
            and min(int(width), int(height)) >= _MIN_SIDE_PX
            and max(int(width), int(height)) <= _MAX_SIDE_PX
        ):
            raise click.BadParameter(
                f"expected sizes such as 640x360, {_MIN_SIDE_PX} to {_MAX_SIDE_PX} pixels a side,"
                f" separated by commas, got {text!r}"
            )
        sizes.append((int(width), int(height)))
    return tuple(dict.fromkeys(sizes))


def percentage(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> float | None:
    """Parse a percentage such as `5%` or `5`; None if the option was not passed."""
    if text is None:
        return None
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise click.BadParameter(f"expected a percentage such as 5%, got {text!r}")
    return value
