"""Every `faceaffect` command that README and docs show is one that the command line takes."""

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
    """Lines of code blocks, their comments cut off, and what stands between single backticks."""
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


def parse(command: str) -> None:
    """Raises UsageError where the command line would."""
    words = shlex.split(re.split(r"\s[>|]\s|[>|&]$", command)[0], comments=True)[1:]
    group = faceaffect.make_context("faceaffect", list(words))
    with group:
        _, found, rest = faceaffect.resolve_command(group, list(words))
        assert found is not None
        with found.make_context(found.name, list(rest), parent=group):
            pass


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_taken(command: str) -> None:
    if "..." in command:  # a form, not a command
        return
    try:
        parse(command)
    except click.exceptions.Exit:  # --help
        return
    except click.MissingParameter:
        assert len(command.split()) == 2, "only one that is named, not given"


def test_some_were_found() -> None:
    assert len(COMMANDS) > 10
    assert any(command.startswith("faceaffect build --precision") for command in COMMANDS)


@pytest.mark.parametrize(
    "wrong",
    ["faceaffect analyze clip.mp4 --backand onnx", "faceaffect make", "faceaffect build --dla x"],
)
def test_others_are_not(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong)
