"""`python -m training`: label the pictures with teachers, train a recipe."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from training.methods.commands import costs, list_recipes
from training.recipe import override

_SHARED = Path(__file__).resolve().parents[2] / "shared"
_RECIPES = ("default",)


@click.group()
def main() -> None:
    """Training of faceaffect's models."""


main.add_command(list_recipes)
main.add_command(costs)


@main.command()
@click.option("--shared", type=click.Path(path_type=Path), default=_SHARED, help="Folder of faces and teachers.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True)
def label(shared: Path, out: Path) -> None:
    """Run the landmark and blendshape teachers over FER+ and the web faces (about ten minutes on two cores)."""
    from training.labelling.label_faces import label_ferplus, label_webfaces

    label_webfaces(shared, out)
    label_ferplus(shared, out)


@main.command()
@click.argument("recipe_name", type=click.Choice(_RECIPES), metavar="RECIPE")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/default"), show_default=True)
@click.option("--shared", type=click.Path(path_type=Path), default=_SHARED)
@click.option("--labels", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True)
@click.option("--renders", type=click.Path(path_type=Path), default=None, help="Folder of rendered faces.")
@click.option("--resume", is_flag=True, help="Go on where a stopped run was saved.")
@click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="Change an option of the recipe.")
def train(
    recipe_name: str, out: Path, shared: Path, labels: Path, renders: Path | None, resume: bool, options: tuple[str, ...]
) -> None:
    """Train RECIPE; a stop loses at most the steps since the last save."""
    from training.train_default import open_loop

    try:
        recipe = override(importlib.import_module(f"training.recipes.{recipe_name}").recipe(), list(options))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    loop = open_loop(recipe, out, shared, labels, renders)
    if resume:
        click.echo(f"resumed at step {loop.step}" if loop.resume() else "nothing to resume, starting anew")
    elif (out / "state.pt").exists():
        raise click.ClickException(f"{out} holds a run already; add --resume or choose another --out")
    loop.run()


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--shared", type=click.Path(path_type=Path), default=_SHARED)
@click.option("--labels", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True)
@click.option("--renders", type=click.Path(path_type=Path), default=None, help="Folder of rendered faces.")
def evaluate(bundle: Path, shared: Path, labels: Path, renders: Path | None) -> None:
    """Measure BUNDLE and print its figures."""
    from training.evaluate import evaluate as measure
    from training.evaluation.record import figures_text

    click.echo(figures_text(measure(bundle, shared, labels, renders)))


if __name__ == "__main__":
    main()
