"""Commands over the eight recipes."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table


@click.command("list")
def list_recipes() -> None:
    """The eight recipes, one a line: name, paper, what it does."""
    from training.methods.find_recipe import RECIPES, find_recipe

    for name in RECIPES:
        recipe = find_recipe(name)
        click.echo(f"{name:24}{recipe.paper}  {recipe.sentence}")


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %"


@click.command()
def costs() -> None:
    """Parameters and multiply-accumulates of the published networks, beside the figures of the literature."""
    from training.methods.costs import cost_rows

    table = Table("paper", "part", title="cost of one frame (or clip, window, second) at batch size one")
    for column in ("M parameters", "expected", "difference", "GMACs", "expected", "difference"):
        table.add_column(column, justify="right")
    for row in cost_rows():
        parameters, macs = row.cost.parameters / 1e6, row.cost.macs / 1e9
        (wanted, wanted_macs), (first, second) = row.expected, row.differences()
        table.add_row(
            row.paper, row.part, f"{parameters:.3f}", "" if wanted is None else f"{wanted:g}", _share(first),
            f"{macs:.4f}", "" if wanted_macs is None else f"{wanted_macs:g}", _share(second),
        )  # fmt: skip
    Console(width=120).print(table)
