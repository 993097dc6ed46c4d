"""The `faceaffect models` commands: list, show and download model bundles."""

from __future__ import annotations

from typing import Any

import click


@click.group(invoke_without_command=True, short_help="List, show and download model bundles.")
@click.pass_context
def models(context: click.Context) -> None:
    """List, show and download model bundles (default command: list)."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command(name="list")
def list_models() -> None:
    """List the available model bundles."""
    from rich.text import Text

    from faceaffect.bundle.bundle import MODELS_VARIABLE, list_bundles
    from faceaffect.bundle.model_spec import BundleError, ModelSpec
    from faceaffect.cli.print_table import open_console, print_table
    from faceaffect.system.path_text import printable_text

    bundles = list_bundles()
    if not bundles:
        raise click.ClickException(
            "no model bundle found; download one with `faceaffect models download`, or set"
            f" ${MODELS_VARIABLE} to a folder of bundles"
        )
    rows = [[Text(name, style="dim") for name in ("name", "model", "size", "license", "path")]]
    for folder in bundles:
        size_bytes = sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file())
        size = f"{size_bytes / 1e6:.1f} MB"
        try:
            spec = ModelSpec.load(folder)
            cells: tuple[str, ...] = (spec.name, size, spec.license)
        except BundleError as error:
            cells = ("unusable", size, str(error))
        cells = (folder.name, *cells, str(folder))
        rows.append([Text(printable_text(cell)) for cell in cells])
    print_table(open_console(), rows)


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the model card of a bundle (a name or a folder): data, metrics, limits of use."""
    from rich.console import Console
    from rich.markdown import Markdown

    from faceaffect.bundle.bundle import find_bundle
    from faceaffect.bundle.bundle_files import CARD_FILE, MAX_CARD_BYTES, read_bundle_file
    from faceaffect.system.path_text import printable_text

    folder = find_bundle(name)
    card = folder / CARD_FILE
    if not card.is_file():
        raise click.ClickException(
            f"{card}: this bundle has no model card; ask its author for data, license and limits"
        )
    try:
        text = read_bundle_file(folder, CARD_FILE, MAX_CARD_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise click.ClickException(f"{card}: cannot be read: {error.strerror}") from None
    # Links of a terminal are escape sequences, which would hide where they lead.
    Console().print(Markdown(printable_text(text, keeps_lines=True), hyperlinks=False))


@models.command()
@click.argument("source")
@click.option(
    "--sha256",
    default="",
    metavar="HEX",
    help="Expected SHA-256 of the bundle's spec.json, which pins every other file.",
)
@click.option(
    "--public-key",
    default="",
    metavar="KEY",
    help="Minisign key, or its .pub file, that must have signed spec.json (spec.json.minisig).",
)
@click.option("--name", default="", metavar="NAME", help="Store the bundle under this name.")
def download(source: str, sha256: str, public_key: str, name: str) -> None:
    """Download the bundle at SOURCE (https://host/path/spec.json, or a folder) for --model NAME.

    Every file is verified. An interrupted download resumes when the command is run again. This is
    the only command that connects to the network, except for streams and clusters named on the
    command line. FACEAFFECT_OFFLINE=1 disables it.
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

        def track_file(file: str) -> Any:
            task = bar.add_task(file, total=None)
            return lambda done_bytes, total_bytes: bar.update(
                task, completed=done_bytes, total=total_bytes
            )

        folder, digest = download_bundle(source, sha256, name, track_file, public_key)
    click.echo(
        f"stored as {folder}; use it with --model {folder.name}, read its card with"
        f" `faceaffect models show {folder.name}`"
    )
    if not sha256 and not public_key:
        click.echo(
            f"SHA-256 of spec.json: {digest}; compare it with the one its author published, or pin"
            " it with --sha256"
        )
