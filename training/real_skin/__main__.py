"""`python -m training.real_skin actions | sheet | fine-tune`: known actions on real faces."""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np

from training.cli.options import (
    EXISTING_FOLDER,
    assets_option,
    labels_option,
    out_option,
    set_option,
)
from training.real_skin.people import SPLITS, Person, ferplus_people, web_people

_SHAPE_CACHE = "head_shapes.npz"


@click.group()
def main() -> None:
    """Add known facial actions to photographs of faces at rest."""


def _people(assets: Path, labels: Path, split: str, web: int, ferplus: int) -> list[Person]:
    """A fixed random choice of web faces, then of FER+ faces."""
    chosen = []
    for read, count in ((web_people, web), (ferplus_people, ferplus)):
        people = read(assets, labels, split) if count else []
        order = np.random.default_rng(3).permutation(len(people))[:count]
        chosen += [people[i] for i in order]
    return chosen


@main.command()
@assets_option
@labels_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--split", type=click.Choice(SPLITS), required=True)
@click.option("--web", type=click.IntRange(0), default=1000, show_default=True, help="Web faces.")
@click.option(
    "--ferplus", type=click.IntRange(0), default=300, show_default=True, help="FER+ faces."
)
@click.option(
    "--groups",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Training: groups of three images for each person.",
)
@click.option("--seed", type=int, default=1, show_default=True)
def actions(
    assets: Path,
    labels: Path,
    out: Path,
    split: str,
    web: int,
    ferplus: int,
    groups: int,
    seed: int,
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


@main.command()
@assets_option
@labels_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--split", type=click.Choice(SPLITS), default="training", show_default=True)
@click.option("--web", type=click.IntRange(0), default=4, show_default=True)
@click.option("--ferplus", type=click.IntRange(0), default=4, show_default=True)
@click.option("--strength", type=click.FloatRange(0, 1), default=0.9, show_default=True)
def sheet(
    assets: Path, labels: Path, out: Path, split: str, web: int, ferplus: int, strength: float
) -> None:
    """Write a contact sheet: a row of all units for each person, the resting twin first.

    Look at it locally; the terms of the photographs do not allow publishing it.
    """
    from training.real_skin.action_renderer import Action, ActionRenderer
    from training.real_skin.unit_motions import UNITS

    renderer = ActionRenderer(assets / "data", out.parent / _SHAPE_CACHE)
    rows = []
    for person in _people(assets, labels, split, web, ferplus):
        stage = renderer.prepare(person.photo, person.points_xyz)
        actions = [[], *([Action(unit, strength)] for unit in UNITS)]
        rows.append(
            np.hstack([renderer.act(stage, each).image[20:140, 20:140] for each in actions])
        )
    cv2.imwrite(str(out), np.vstack(rows)[:, :, ::-1])


@main.command("fine-tune")
@assets_option
@labels_option
@click.option("--bundle", type=EXISTING_FOLDER, required=True, help="Bundle to start with.")
@click.option("--actions", type=EXISTING_FOLDER, required=True, help="Training images of actions.")
@click.option("--synthetic-images", type=EXISTING_FOLDER, required=True, help="Rendered faces.")
@out_option("runs/true_aus")
@click.option("--synthetic-videos", type=EXISTING_FOLDER, help="A RenderWild folder.")
@click.option(
    "--video-split",
    type=click.Choice(["Train_Set", "Validation_Set"]),
    default="Train_Set",
    show_default=True,
    help="Videos of it to train on.",
)
@click.option("--stop-at", type=click.IntRange(1), help="Save and stop at this step.")
@set_option
def fine_tune(
    assets: Path,
    labels: Path,
    bundle: Path,
    actions: Path,
    synthetic_images: Path,
    out: Path,
    synthetic_videos: Path | None,
    video_split: str,
    stop_at: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Fine-tune a bundle on known actions and geometric evidence; rerun to resume.

    `--set` overrides the recipe; names that start with `known_actions.` are of the groups.
    """
    from training.engine.recipe_overrides import apply_overrides
    from training.real_skin.fine_tune import (
        FineTuneData,
        build_fine_tuning,
        fine_tune_recipe,
    )
    from training.real_skin.objective import PairOptions

    prefix = "known_actions."
    of_groups = [each.removeprefix(prefix) for each in overrides if each.startswith(prefix)]
    of_recipe = [each for each in overrides if not each.startswith(prefix)]
    try:
        options = apply_overrides(PairOptions(), of_groups)
        recipe = apply_overrides(fine_tune_recipe(), of_recipe)
        data = FineTuneData(
            assets, labels, synthetic_images, actions, synthetic_videos, video_split
        )
        trainer = build_fine_tuning(recipe, options, bundle, out, data)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    trainer.run(stop_at=stop_at)


if __name__ == "__main__":
    main()
