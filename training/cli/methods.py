"""Commands over the eight recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from training.cli.loop import run_loop
from training.methods.recipe_overrides import with_options

if TYPE_CHECKING:
    from training.methods.trainer import MethodLoop

_SHARED = Path(__file__).resolve().parents[3] / "shared"


@click.command("list")
def list_recipes() -> None:
    """The eight recipes, one a line: name, paper, what it does."""
    from training.methods.recipe_lookup import RECIPES, find_recipe

    for name in RECIPES:
        recipe = find_recipe(name)
        click.echo(f"{name:24}{recipe.paper}  {recipe.sentence}")


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %"


@click.command()
def costs() -> None:
    """Parameters and multiply-accumulates of the published networks, beside the figures of the
    literature.
    """
    from training.methods.costs import cost_rows

    table = Table(
        "paper", "part", title="cost of one frame (or clip, window, second) at batch size one"
    )
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


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/trunk"), show_default=True
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    default=_SHARED,
    help="Folder of faces and teachers.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    default=Path("runs/labels"),
    show_default=True,
    help="Of `label`.",
)
@click.option("--resume", is_flag=True, help="Go on where a stopped run was saved.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="Change an option.")
def pretrain(
    out: Path, shared: Path, labels: Path, resume: bool, threads: int, options: tuple[str, ...]
) -> None:
    """Train the small trunk of compact presets on FER+ and web faces (some 5 minutes of one core;
    M4 begins with the kind that
    --set trunk=small_region makes).

    The methods begin with it: `train M3 --preset compact --set
    trunk_weights=OUT/trunk.safetensors`.
    """
    import torch

    from training.methods.pretrain_trunk import PretrainRecipe, open_pretraining, write_trunk

    torch.set_num_threads(threads)

    def opened() -> MethodLoop:
        return open_pretraining(with_options(PretrainRecipe(), list(options)), out, shared, labels)

    loop = run_loop(out, resume, opened)
    click.echo(f"{out}: {write_trunk(loop, out)}")
