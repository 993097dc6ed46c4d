"""Tests that the command line accepts every `faceaffect` command in README and docs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from faceaffect.cli.command_line import faceaffect

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_in(text: str) -> Iterator[str]:
    """Yield commands in code blocks and between single backticks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in re.sub(r"\\\n", " ", block).splitlines()]
    inline = re.findall(
        r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    )
    for command in [*lines, *inline]:
        if command.startswith("faceaffect "):
            yield " ".join(command.split())


COMMANDS = sorted(
    {
        command
        for document in DOCUMENTS
        for command in commands_in(document.read_text(encoding="utf-8"))
    }
)


def command_names(group: click.Group = faceaffect) -> set[str]:
    """Names of all commands of a group and of the groups in it."""
    names = set(group.commands)
    for command in group.commands.values():
        names |= command_names(command) if isinstance(command, click.Group) else set()
    return names


def parse(line: str) -> None:
    """Raise UsageError if the command line would."""
    words = shlex.split(re.split(r"\s[>|]\s|[>|&]$", line)[0], comments=True)[1:]
    name: str | None = "faceaffect"
    command: click.Command | None = faceaffect
    context = None
    while command is not None:
        context = command.make_context(name, list(words), parent=context)
        if not isinstance(command, click.Group) or not words:
            return
        name, command, words = command.resolve_command(context, list(words))


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_command_parses(command: str) -> None:
    if "..." in command:  # a placeholder
        return
    try:
        parse(command)
    except click.exceptions.Exit:  # --help
        return
    except click.MissingParameter:
        words = command.split()[1:]
        names = [word for word in words if word in command_names()]
        assert words == names, "only a mention of the command has no arguments"


def test_documents_contain_commands() -> None:
    assert len(COMMANDS) > 10
    assert any(command.startswith("faceaffect build-engine --precision") for command in COMMANDS)


@pytest.mark.parametrize(
    "wrong",
    [
        "faceaffect analyze clip.mp4 --backand onnx",
        "faceaffect make",
        "faceaffect build-engine --dla-core x",
    ],
)
def test_wrong_command_is_refused(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong)
