"""`faceaffect models`: the model bundles at hand."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False)
def models(name: str | None) -> None:
    """List the model bundles, or show the card of one."""
    from faceaffect.bundle import CARD_FILE, find_bundle

    if name is None:
        _list_bundles()
        return
    from rich.console import Console
    from rich.markdown import Markdown

    card = find_bundle(name) / CARD_FILE
    if not card.is_file():
        raise click.ClickException(f"{card}: this bundle has no card; ask whoever made it for data, licence and limits")
    Console().print(Markdown(card.read_text(encoding="utf-8")))


def _list_bundles() -> None:
    from rich.console import Console
    from rich.text import Text

    from faceaffect.bundle import FOLDERS_VARIABLE, list_bundles
    from faceaffect.cli.aligned_columns import print_columns
    from faceaffect.spec import BundleError, ModelSpec

    bundles = list_bundles()
    if not bundles:
        raise click.ClickException(f"no model bundle found; put one into a folder and name that in ${FOLDERS_VARIABLE}")
    rows = [[Text(name, style="dim") for name in ("name", "model", "size", "licence", "path")]]
    for folder in bundles:
        size_bytes = sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file())
        try:
            spec = ModelSpec.load(folder)
            described = (spec.name, f"{size_bytes / 1e6:.1f} MB", spec.licence)
        except BundleError as error:
            described = ("unusable", f"{size_bytes / 1e6:.1f} MB", str(error))
        rows.append([Text(cell) for cell in (folder.name, *described, str(folder))])
    print_columns(Console(), rows)
