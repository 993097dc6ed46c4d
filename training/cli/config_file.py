"""TOML files of a command's options, which record a run and repeat it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from training.engine.checkpoint import replace_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_FILE: Final = "config.toml"


def write_config(path: Path, options: Mapping[str, Any]) -> None:
    """Write options by name; those of None and empty lists are left out."""
    lines = [
        f"{name} = {_value(value)}"
        for name, value in options.items()
        if value is not None and value != ()
    ]
    text = "\n".join(lines) + "\n"
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value))  # TOML's basic strings are JSON's


def load_defaults(
    context: click.Context, parameter: click.Parameter, path: Path | None
) -> Path | None:
    """Callback of an eager `--config`: the file's options are the defaults of the others.

    Raises:
        click.BadParameter: the file cannot be read or names an unknown option.
    """
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} cannot be read as TOML: {error}") from None
    known = {each.name for each in context.command.params} - {parameter.name}
    if unknown := sorted(values.keys() - known):
        raise click.BadParameter(
            f"{path} has unknown options {', '.join(unknown)}; known are "
            f"{', '.join(sorted(name for name in known if name))}"
        )
    context.default_map = {**(context.default_map or {}), **values}
    return path
