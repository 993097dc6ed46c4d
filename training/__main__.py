"""`python -m training`: look through data sets, label images with teachers, train a recipe, measure
what came out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from training.cli.data import data
from training.cli.detector import train_detector
from training.cli.distill import distil
from training.cli.methods import costs, list_recipes, pretrain
from training.cli.train import train
from training.methods.recipe_overrides import with_options

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@click.group()
def main() -> None:
    """Training of faceaffect's models."""


main.add_command(data)
main.add_command(list_recipes)
main.add_command(costs)
main.add_command(train)
main.add_command(train_detector)
main.add_command(distil)
main.add_command(pretrain)


@main.command()
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    default=_SHARED,
    help="Folder of faces and teachers.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True
)
@click.option(
    "--renders",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Label these renders instead.",
)
def label(shared: Path, out: Path, renders: Path | None) -> None:
    """Run the landmark and blendshape teachers over FER+ and the web faces (3 to 10 minutes on two
    cores).
    """
    from training.labeling.label_faces import label_ferplus, label_synthetic_images, label_web_faces

    if renders is not None:
        label_synthetic_images(shared, renders)
        return
    label_web_faces(shared, out)
    label_ferplus(shared, out)


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--shared", type=click.Path(path_type=Path), default=_SHARED)
@click.option(
    "--labels", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True
)
@click.option(
    "--renders", type=click.Path(path_type=Path), default=None, help="Folder of rendered faces."
)
@click.option("--wild", type=click.Path(path_type=Path), default=None, help="A RenderWild folder.")
def figures(
    bundle: Path, shared: Path, labels: Path, renders: Path | None, wild: Path | None
) -> None:
    """Print the figures of the model record: FER+, web faces, clips, cost."""
    from training.evaluation.model_metrics import model_metrics
    from training.evaluation.record import format_metrics

    click.echo(format_metrics(model_metrics(bundle, shared, labels, renders, wild)))


@main.command()
@click.argument("bundle")
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--labels",
    type=click.Path(path_type=Path, file_okay=False),
    help="Label folder for a file of predictions.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/evaluation"),
    show_default=True,
)
@click.option(
    "--split",
    type=click.Choice(["training", "validation", "all"]),
    default="validation",
    show_default=True,
)
@click.option(
    "--annotations",
    metavar="NAME",
    help="The annotation folder, where a copy of Aff-Wild2 holds several.",
)
@click.option(
    "--missing",
    type=click.Choice(["hold", "drop"]),
    default="hold",
    show_default=True,
    help="Frames without a face: hold the last prediction, or leave them out (-1 and -5 in submissions).",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Videos at a time; one a core unless told otherwise."
)
@click.option(
    "--resamples",
    type=click.IntRange(100),
    default=1000,
    show_default=True,
    help="Draws for the intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an evaluation in --out.")
def evaluate(
    bundle: str, data: Path, out: Path, missing: str, resamples: int, seed: int, **options: Any
) -> None:
    """Judge BUNDLE (a folder or a name) by the labels of DATA; write figures, a page and ABAW2
    submissions to --out.

    DATA is a folder in the layout of Aff-Wild2 (annotations and cropped_aligned), a folder of
    rendered faces (faces_*.npz), or a CSV or Parquet file of predictions, such as `faceaffect
    analyze --out` writes, with --labels. For a file that holds decisions (active_aus) BUNDLE may
    be "-".
    """
    from rich.console import Console

    from training.evaluation.dataset_metrics import MetricOptions
    from training.evaluation.evaluate import PAGE_FILE, EvaluateOptions, print_scores
    from training.evaluation.evaluate import evaluate as judge

    given = {name: value for name, value in options.items() if value is not None}
    try:
        measured = judge(
            bundle,
            data,
            out,
            EvaluateOptions(metrics=MetricOptions(missing, resamples, seed), **given),
        )
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    print_scores(measured, Console())
    click.echo(f"{out / PAGE_FILE}")


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/transfer"), show_default=True
)
@click.option("--shared", type=click.Path(path_type=Path), default=_SHARED)
@click.option(
    "--labels", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True
)
@click.option(
    "--renders",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Faces of both rigs.",
)
@click.option(
    "--wild",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="A RenderWild folder; may be repeated.",
)
@click.option(
    "--base-steps", type=click.IntRange(0), default=0, show_default=True,
    help="Both runs begin with one network that has learned of people's images alone for so many steps.",
)  # fmt: skip
@click.option(
    "--people",
    type=click.Path(path_type=Path, exists=True),
    help="A RenderWild whose validation people help to choose thresholds.",
)
@click.option(
    "--set", "options", multiple=True, metavar="NAME=VALUE", help="Change an option of the recipe."
)
def transfer(out: Path, options: tuple[str, ...], **given: Any) -> None:
    """Train on each face rig alone, test on the one left out; a stopped run goes on where it was."""
    from training.ablations.cross_rig import transfer as measure
    from training.default_model.default_recipe import recipe

    click.echo(json.dumps(measure(with_options(recipe(), list(options)), out, **given), indent=1))


if __name__ == "__main__":
    main()
