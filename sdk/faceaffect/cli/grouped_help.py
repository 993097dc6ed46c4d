"""Help with options and commands in sections, colored in terminals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

Sections = Mapping[str, Sequence[str]]
"""Title of a section to names of its options (`--out`) or commands, in their order."""

_MAX_WIDTH: Final = 100


class GroupedCommand(click.Command):
    """A command whose options are listed in sections; those in none are listed last."""

    def __init__(self, *arguments: Any, sections: Sections | None = None, **options: Any) -> None:
        """Take the arguments of `click.Command` and the sections."""
        super().__init__(*arguments, **options)
        self.context_settings.setdefault("max_content_width", _MAX_WIDTH)
        self.sections = sections or {}

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line."""
        pieces = self.collect_usage_pieces(ctx)
        formatter.write_usage(ctx.command_path, " ".join(pieces), heading("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their sections."""
        records: dict[str, tuple[str, str]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # Arguments are explained in the text; some releases of click have records of them, too.
            if record is not None and isinstance(parameter, click.Option):
                records[max(parameter.opts, key=len)] = (option_names(record[0]), record[1])
        for title, names in self.sections.items():
            _write_section(formatter, title, [records.pop(name) for name in names])
        _write_section(formatter, "Other options" if self.sections else "Options", records.values())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_epilog(self.epilog, formatter)


class GroupedGroup(click.Group):
    """A group whose commands are listed in sections."""

    def __init__(self, *arguments: Any, sections: Sections | None = None, **options: Any) -> None:
        """Take the arguments of `click.Group` and the sections."""
        super().__init__(*arguments, **options)
        self.context_settings.setdefault("max_content_width", _MAX_WIDTH)
        self.sections = sections or {}

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line."""
        pieces = self.collect_usage_pieces(ctx)
        formatter.write_usage(ctx.command_path, " ".join(pieces), heading("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their sections, then the options of the group."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        width = max(map(len, commands))
        limit = formatter.width - 6 - width
        for title, names in self.sections.items():
            rows = []
            for name in names:
                command = commands.pop(name)
                assert command is not None
                rows.append((paint(name.ljust(width)), command.get_short_help_str(limit)))
            _write_section(formatter, title, rows)
        assert not commands, f"commands without a section: {sorted(commands)}"
        records = (parameter.get_help_record(ctx) for parameter in self.get_params(ctx))
        _write_section(
            formatter,
            "Options",
            [(option_names(one[0]), one[1]) for one in records if one is not None],
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the notes at the end."""
        _write_epilog(self.epilog, formatter)


def heading(text: str) -> str:
    """Return a heading, bold where colors are wanted."""
    return _style(text, bold=True)


def paint(text: str) -> str:
    """Return the name of an option or command, colored where colors are wanted."""
    return _style(text, fg="cyan")


def option_names(text: str) -> str:
    """Return the names of an option and its metavar, the names colored."""
    names, space, metavar = text.partition(" ")
    if text.startswith("-") and " / " in text:
        return paint(text)
    if names.endswith(","):  # -h, --help
        return paint(text)
    return paint(names) + (space + _style(metavar, dim=True) if metavar else "")


def _style(text: str, **style: Any) -> str:
    if os.environ.get("NO_COLOR"):
        return text
    return click.style(text, **style)  # removed by click where the output is no terminal


def _write_section(formatter: click.HelpFormatter, title: str, rows: Any) -> None:
    rows = list(rows)
    if rows:
        formatter.write_paragraph()
        formatter.write(f"{heading(title)}:\n")
        formatter.indent()
        formatter.write_dl(rows)
        formatter.dedent()


def _write_epilog(epilog: str | None, formatter: click.HelpFormatter) -> None:
    """Write paragraphs as they are; lines that end in a colon are headings."""
    if not epilog:
        return
    formatter.write_paragraph()
    for line in epilog.replace("\b\n", "").splitlines():
        is_heading = line.endswith(":") and not line.startswith(" ")
        formatter.write((heading(line) if is_heading else line) + "\n")


def sections(titles: Sections) -> dict[str, Any]:
    """Return arguments of `click.command` for a command with sections."""
    return {"cls": GroupedCommand, "sections": titles}
