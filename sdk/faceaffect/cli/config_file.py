"""Options from a file: `faceaffect.toml`, or the one that --config names."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_FILE: Final = "faceaffect.toml"
_MAX_BYTES: Final = 1 << 20


def load_config(path: Path, group: click.Group) -> dict[str, Any]:
    """Read a file of options: a table for each command, named keys for its options.

    Args:
        path: The file.
        group: The commands that it may name.

    Returns:
        Defaults by command and parameter, for `Context.default_map`.

    Raises:
        UsageError: The file cannot be read, or names no such command or option.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise click.UsageError(f"{path}: expected a file of options, got more than 1 MB")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise click.UsageError(f"{path}: expected TOML, got an error: {error}") from None
    return _defaults(path, content, group)


def _defaults(path: Path, content: Mapping[str, Any], group: click.Group) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for name, table in content.items():
        command = group.commands.get(name)
        if command is None or not isinstance(table, dict):
            what = f"the table [{name}]" if isinstance(table, dict) else f"the key {name}"
            tables = ", ".join(f"[{one}]" for one in sorted(group.commands))
            raise click.UsageError(f"{path}: expected the tables {tables}, got {what}")
        if isinstance(command, click.Group):
            defaults[name] = _defaults(path, table, command)
        else:
            defaults[name] = dict(_option_defaults(path, name, table, command))
    return defaults


def _option_defaults(
    path: Path, name: str, table: Mapping[str, Any], command: click.Command
) -> list[tuple[str, Any]]:
    options = {
        option.lstrip("-"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    defaults = []
    for key, value in table.items():
        parameter = options.get(key.replace("_", "-"))
        if parameter is None or parameter.name is None:
            near = difflib.get_close_matches(key.replace("_", "-"), options, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(
                f"{path}: expected options of `faceaffect {name}` in [{name}], got {key}{hint}"
            )
        if isinstance(value, list) and not parameter.multiple and parameter.nargs == 1:
            value = ",".join(map(str, value))
        elif parameter.multiple and not isinstance(value, list):
            value = [value]
        defaults.append((parameter.name, value))
    return defaults


def origin_of(error: click.BadParameter) -> str:
    """Return where a wrong value came from, unless it was typed; empty if it was."""
    if error.ctx is None or error.param is None or error.param.name is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    if source is click.core.ParameterSource.ENVIRONMENT:
        return f"from the variable {error.param.envvar}"
    if source is click.core.ParameterSource.DEFAULT_MAP:
        path = error.ctx.find_root().meta.get(CONFIG_FILE, CONFIG_FILE)
        return f"from {path}"
    return ""
