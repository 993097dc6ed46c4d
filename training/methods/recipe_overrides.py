"""Options of a recipe by dotted names."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def with_options(recipe: Any, options: list[str]) -> Any:
    """The recipe with each `a.b=value` applied; ValueError for an unknown name or a wrong type says
    what is right.
    """
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            raise ValueError(f"an option must be name=value, got {option!r}")
        recipe = _with(recipe, name.split("."), text, name)
    return recipe


def _with(value: Any, path: list[str], text: str, full_name: str) -> Any:
    named = {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else {}
    if path[0] not in named:
        before = ".".join(full_name.split(".")[: -len(path)]) or "the recipe"
        raise ValueError(f"unknown option {full_name!r}: in {before} there are {sorted(named)}")
    current = named[path[0]]
    changed = (
        _with(current, path[1:], text, full_name)
        if len(path) > 1
        else _parsed(current, text, full_name)
    )
    return replace(value, **{path[0]: changed})


def _parsed(current: Any, text: str, full_name: str) -> Any:
    if is_dataclass(current):
        raise ValueError(
            f"option {full_name!r} is a group of {sorted(f.name for f in fields(current))}"
        )
    try:
        if isinstance(current, bool):
            return _BOOLEANS[text.lower()]
        if isinstance(current, (int, float, str)):
            return type(current)(text)
        if isinstance(current, tuple) and all(isinstance(each, int) for each in current):
            return tuple(int(each) for each in text.split(",") if each)
    except (ValueError, KeyError):
        raise ValueError(
            f"option {full_name!r} must be {type(current).__name__}, got {text!r}"
        ) from None
    raise ValueError(
        f"option {full_name!r} cannot be set in one word; it is a {type(current).__name__}"
    )
