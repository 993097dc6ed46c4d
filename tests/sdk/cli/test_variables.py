"""Every option of every command can be typed, set by a variable and stand in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from faceaffect.cli.command_line import faceaffect
from faceaffect.cli.config_file import load_config
from tests.sdk.cli.conftest import Run

VALUES = {
    "--columns": "landmarks,eyes",
    "--size": "320x240,640x360",
    "--num-faces": "1,3",
    "--min-quality": "0.5",
    "--threads": "3",
    "--streams": "3",
    "--camera-fps": "25,50",
    "--fail-above": "5%",
    "--rotate": "180",
    "--detector": "mtcnn",
}
"""Values of options whose type does not say what they may be."""


def options(
    group: click.Group = faceaffect, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from options(command, (*path, name))
        else:
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    yield (*path, name), parameter


OPTIONS = list(options())


def long_name(option: click.Option) -> str:
    return max(option.opts, key=len)


def value_of(option: click.Option, file: Path) -> str:
    """A value that is not the default."""
    name, kind = long_name(option), option.type
    if name in VALUES:
        return VALUES[name]
    if isinstance(kind, click.Choice):
        return next(choice for choice in reversed(kind.choices) if choice != option.default)
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        return str(next(n for n in (int(kind.min or 0) + 3, 7) if n != option.default))
    if isinstance(kind, click.Path):
        return str(file)
    return "7"


def parse(path: tuple[str, ...], words: list[str], defaults: Any, file: Path) -> dict[str, Any]:
    """Parameters of a command, as it would run with them."""
    command: click.Command = faceaffect
    context = click.Context(faceaffect, info_name="faceaffect", default_map=defaults)
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    required: list[str] = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.required:
            required.append(str(file))
        elif parameter.required and parameter.opts[-1] not in words:
            assert isinstance(parameter, click.Option)
            required += [parameter.opts[-1], value_of(parameter, file)]
    return command.make_context(path[-1], [*required, *words], parent=context).params


@pytest.mark.parametrize(
    ("path", "option"), OPTIONS, ids=lambda one: one.opts[-1] if hasattr(one, "opts") else one[-1]
)
def test_option_is_the_same_typed_from_its_variable_and_from_a_file(
    path: tuple[str, ...], option: click.Option, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    name = long_name(option)
    values = [value_of(option, file)] * option.nargs
    typed = parse(path, [name] if option.is_flag else [name, *values], None, file)
    monkeypatch.setattr(option, "required", False)  # it can be left out to ask other sources
    default = parse(path, [], None, file)
    assert typed[option.name or ""] != default[option.name or ""], "not the default"

    variable = "_".join(["FACEAFFECT", *path, name.lstrip("-")]).upper().replace("-", "_")
    splitter = option.type.envvar_list_splitter or " "
    monkeypatch.setenv(variable, "1" if option.is_flag else splitter.join(values))
    assert parse(path, [], None, file) == typed
    monkeypatch.delenv(variable)

    toml = "true" if option.is_flag else json.dumps(values if option.nargs > 1 else values[0])
    config = tmp_path / "faceaffect.toml"
    config.write_text(f"[{'.'.join(path)}]\n{name.lstrip('-')} = {toml}\n")
    defaults = load_config(config, faceaffect)
    assert parse(path, [], defaults, file) == typed


def test_every_command_has_its_options_here() -> None:
    paths = {path for path, _ in OPTIONS}
    assert {("live",), ("serve",), ("bench",), ("models", "download")} <= paths
    assert len(OPTIONS) > 100


def test_variable_of_debug_shows_the_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ("report", tmp_path / "missing.csv", "--out", tmp_path / "page.html")
    assert run(*command) == 1
    monkeypatch.setenv("FACEAFFECT_DEBUG", "1")
    with pytest.raises(Exception, match=r"missing\.csv"):
        run(*command)
    monkeypatch.setenv("FACEAFFECT_DEBUG", "0")
    assert run(*command) == 1


def test_environment_of_the_tests_sets_no_option() -> None:
    variables = {option.envvar for _, option in OPTIONS}
    assert not variables & set(os.environ)
