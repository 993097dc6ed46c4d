"""`faceaffect models`: the model bundles at hand, and further ones."""

from __future__ import annotations

from typing import Any

import click


class _NameOrCommand(click.Group):
    """What is no command is the name of a bundle, whose card is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@click.group(
    cls=_NameOrCommand, invoke_without_command=True, subcommand_metavar="[NAME | get SOURCE]"
)
@click.pass_context
def models(context: click.Context) -> None:
    """List the model bundles, show the card of one (its NAME or folder), or get a further one."""
    if context.invoked_subcommand is None:
        _list_bundles()


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the card of a bundle: what it was made of, what was measured, what it must not be used
    for.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from faceaffect.bundle.bundle import CARD_FILE, find_bundle

    card = find_bundle(name) / CARD_FILE
    if not card.is_file():
        raise click.ClickException(
            f"{card}: this bundle has no card; ask whoever made it for data, license and limits"
        )
    Console().print(Markdown(card.read_text(encoding="utf-8")))


@models.command()
@click.argument("source")
@click.option(
    "--sha256",
    default="",
    metavar="HEX",
    help="SHA-256 of the bundle's spec.json, which pins every file of it.",
)
@click.option("--name", default="", metavar="NAME", help="Keep it under another name than its own.")
def get(source: str, sha256: str, name: str) -> None:
    """Get the bundle at SOURCE (https://host/path/spec.json, or a folder) into your data folder,
    for --model NAME.

    Every file is verified; a transfer that breaks is gone on with, also by the same command
    later. No other command opens a network connection, but to streams and clusters that you
    name. FACEAFFECT_OFFLINE=1 forbids this one.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from faceaffect.bundle.download_bundle import download_bundle

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:

        def follow(file: str) -> Any:
            task = bar.add_task(file, total=None)
            return lambda there, whole: bar.update(task, completed=there, total=whole)

        folder, digest = download_bundle(source, sha256, name, follow)
    click.echo(
        f"{folder.name} is in {folder}; use it with --model {folder.name}, `faceaffect models {folder.name}` shows its card"
    )
    if not sha256:
        click.echo(
            f"its spec.json has the SHA-256 {digest}: compare it with what its maker says, or pin it with --sha256"
        )


def _list_bundles() -> None:
    from rich.console import Console
    from rich.text import Text

    from faceaffect.bundle.bundle import MODELS_VARIABLE, list_bundles
    from faceaffect.bundle.model_spec import BundleError, ModelSpec
    from faceaffect.cli.print_table import print_columns

    bundles = list_bundles()
    if not bundles:
        raise click.ClickException(
            f"no model bundle found; get one with `faceaffect models get`, or name a folder of bundles in ${MODELS_VARIABLE}"
        )
    rows = [[Text(name, style="dim") for name in ("name", "model", "size", "license", "path")]]
    for folder in bundles:
        size_bytes = sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file())
        try:
            spec = ModelSpec.load(folder)
            described = (spec.name, f"{size_bytes / 1e6:.1f} MB", spec.license)
        except BundleError as error:
            described = ("unusable", f"{size_bytes / 1e6:.1f} MB", str(error))
        rows.append([Text(cell) for cell in (folder.name, *described, str(folder))])
    print_columns(Console(), rows)
