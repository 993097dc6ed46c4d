"""The `faceaffect completion` command."""

from __future__ import annotations

from typing import Final

import click

from faceaffect.cli.grouped_help import GroupedCommand

VARIABLE: Final = "_FACEAFFECT_COMPLETE"
"""Variable by which a shell asks the program for completions."""
_INSTALL: Final = """\b
Install:
  bash   echo 'eval "$(faceaffect completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(faceaffect completion zsh)"' >> ~/.zshrc
  fish   faceaffect completion fish > ~/.config/fish/completions/faceaffect.fish"""


@click.command(
    short_help="Complete commands, options and files in your shell.",
    epilog=_INSTALL,
    cls=GroupedCommand,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and files in a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "faceaffect", VARIABLE).source())
