"""`python -m training.real_skin actions | sheet`: known actions on photographs of faces at rest."""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np

from training.cli.options import assets_option, labels_option
from training.real_skin.people import SPLITS, Person, ferplus_people, web_people

_SHAPE_CACHE = "head_shapes.npz"


@click.group()
def main() -> None:
    """Add known facial actions to photographs of faces at rest."""


def _people(assets: Path, labels: Path, split: str, web: int, ferplus: int) -> list[Person]:
    """A fixed random choice of web faces, then of FER+ faces."""
    rng = np.random.default_rng(3)
    chosen = []
    for people, count in (
        (web_people(assets, labels, split), web),
        (ferplus_people(assets, labels, split), ferplus),
    ):
        order = rng.permutation(len(people))[:count]
        chosen += [people[i] for i in order]
    return chosen


@main.command()
@assets_option
@labels_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--split", type=click.Choice(SPLITS), required=True)
@click.option("--web", type=click.IntRange(0), default=1000, show_default=True, help="Web faces.")
@click.option("--ferplus", type=click.IntRange(0), default=300, show_default=True, help="FER+ faces.")
@click.option(
    "--groups",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Training: groups of three images for each person.",
)
@click.option("--seed", type=int, default=1, show_default=True)
def actions(
    assets: Path, labels: Path, out: Path, split: str, web: int, ferplus: int, groups: int, seed: int
) -> None:
    """Write images of known actions; rerun to resume.

    The validation split gets every unit alone at two strengths; the training split groups of a
    twin and two strengths of one unit.
    """
    from training.real_skin.action_renderer import ActionRenderer
    from training.real_skin.write_actions import write_actions

    cv2.setNumThreads(1)
    people = _people(assets, labels, split, web, ferplus)
    renderer = ActionRenderer(assets / "data", out.parent / _SHAPE_CACHE)
    count = write_actions(renderer, people, out, groups if split == "training" else None, seed)
    click.echo(f"{count} images of {len(people)} people in {out}")


if __name__ == "__main__":
    main()
