"""Environment variables of options: `FACEAFFECT_ANALYZE_MAX_FACES` of `analyze --max-faces`."""

from __future__ import annotations

import os
from typing import Final

import click

PREFIX: Final = "FACEAFFECT"
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})


def set_variables(command: click.Command, prefix: str = PREFIX) -> None:
    """Give each option of a command, and of those in it, the variable of its long name."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            parameter.envvar = f"{prefix}_{_upper(max(parameter.opts, key=len).lstrip('-'))}"
    if isinstance(command, click.Group):
        for name, member in command.commands.items():
            set_variables(member, f"{prefix}_{_upper(name)}")


def is_set(name: str) -> bool:
    """Return whether a flag is set by its variable."""
    return os.environ.get(f"{PREFIX}_{name}", "").strip().lower() in _TRUE


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
