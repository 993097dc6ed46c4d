"""`python -m training distil`: trained methods or bundles teach the default model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.methods.recipe_overrides import with_options

_SHARED = Path(__file__).resolve().parents[2] / "shared"
_PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--teacher", "teachers", type=click.Path(path_type=Path, exists=True, file_okay=False), multiple=True, required=True,
    help="Folder of a trained method or of a bundle; give several for the mean of their probabilities.",
)  # fmt: skip
@click.option(
    "--out",
    type=_PATH,
    default=Path("runs/distilled"),
    show_default=True,
    help="Folder of the student's run.",
)
@click.option(
    "--data",
    "--wild",
    "wild",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="A RenderWild folder; may be repeated.",
)
@click.option(
    "--renders", type=click.Path(path_type=Path, exists=True), help="Folder of rendered faces."
)
@click.option("--shared", type=_PATH, default=_SHARED, help="Folder of faces and teachers.")
@click.option(
    "--labels", type=_PATH, default=Path("runs/labels"), show_default=True, help="Of `label`."
)
@click.option("--rendered-only", is_flag=True, help="Leave out FER+ and the web faces.")
@click.option(
    "--share",
    type=float,
    default=0.4,
    show_default=True,
    help="Of the teachers where a face has a label.",
)
@click.option(
    "--weight",
    type=float,
    default=0.5,
    show_default=True,
    help="Of targets that are the teachers' alone.",
)
@click.option(
    "--real-only",
    is_flag=True,
    help="Teachers speak of people alone, not of rendered faces, whose truth is known.",
)
@click.option(
    "--start", metavar="BUNDLE", help="Begin with this bundle's weights: a folder, or default."
)
@click.option(
    "--cache", type=_PATH, default=None, help="Decoded images and tables.  [default: runs/tables]"
)
@click.option("--resume", is_flag=True, help="Go on where a stopped run was saved.")
@click.option(
    "--set",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change an option of the default recipe.",
)
def distil(
    teachers: tuple[Path, ...],
    out: Path,
    cache: Path | None,
    share: float,
    weight: float,
    **given: Any,
) -> None:
    """Train the default model on its sources with the soft targets of trained methods, or of a
    default model's bundle.

    Teachers say AUs, expressions, valence and arousal of every face: those they read. Their
    answers are kept in --out, so that a stopped run goes on with --resume. The run is exported
    and measured as any run of the default model.
    """
    from training.default_model.build_trainer import open_loop, prepare_loop
    from training.default_model.default_recipe import recipe
    from training.default_model.trainer import STATE_FILE
    from training.distillation.teachers import DistilOptions, Teachers

    resume, rendered_only, options = (
        given.pop("resume"),
        given.pop("rendered_only"),
        given.pop("options"),
    )
    start, real_only = given.pop("start"), given.pop("real_only")
    if (out / STATE_FILE).exists() and not resume:
        raise click.ClickException(
            f"{out} holds a run already; add --resume or choose another --out"
        )
    if rendered_only:
        given["labels"] = None
    try:
        student = with_options(recipe(), list(options))
        teaching = Teachers(teachers, out, DistilOptions(share, weight, not real_only), cache)
        teaching.check()
        loop = open_loop(student, out, **given, teaching=teaching)
        prepare_loop(loop, resume, start)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    loop.run()
