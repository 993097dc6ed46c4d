"""Overrides of a recipe's fields by dotted names, as `--set name=value` passes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar

_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

RecipeT = TypeVar("RecipeT")


def apply_overrides(recipe: RecipeT, overrides: Sequence[str]) -> RecipeT:
    """The recipe with each `a.b=value` applied.

    Raises:
        ValueError: an unknown name or a value of the wrong type; the message lists the known names.
    """
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ValueError(f"an option must be name=value, got {override!r}")
        recipe = _replace_field(recipe, name.split("."), text, name)
    return recipe


def _replace_field(config: Any, path: list[str], text: str, full_name: str) -> Any:
    values = (
        {f.name: getattr(config, f.name) for f in fields(config)} if is_dataclass(config) else {}
    )
    if path[0] not in values:
        parent = ".".join(full_name.split(".")[: -len(path)]) or "the recipe"
        raise ValueError(f"unknown option {full_name!r}: {parent} has {sorted(values)}")
    current = values[path[0]]
    if len(path) > 1:
        changed = _replace_field(current, path[1:], text, full_name)
    else:
        changed = _parse(current, text, full_name)
    return replace(config, **{path[0]: changed})


def _parse(current: Any, text: str, full_name: str) -> Any:
    if is_dataclass(current):
        names = sorted(f.name for f in fields(current))
        raise ValueError(f"option {full_name!r} is a group of {names}")
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
        f"option {full_name!r} cannot be set on the command line; it is a {type(current).__name__}"
    )
