"""`python -m training train`: the default model, or one of the eight methods."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

from training.methods.recipe import PRESETS
from training.methods.recipe_overrides import with_options

_SHARED = Path(__file__).resolve().parents[2] / "shared"
_OF_DEFAULT = ("shared", "labels", "renders", "wild", "rendered_only", "start")
_OF_METHODS = (
    "data",
    "preset",
    "cache",
    "seed",
    "device",
    "bf16",
    "fp16",
    "judge",
    "steps",
    "save_every",
)
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--out", type=_PATH, default=None, help="Folder of the run.  [default: runs/RECIPE]")
@click.option("--resume", is_flag=True, help="Go on where a stopped run was saved.")
@click.option(
    "--set", "options", multiple=True, metavar="NAME=VALUE", help="Change an option of the recipe."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="methods: Aff-Wild2 or RenderWild.",
)
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="published",
    show_default=True,
    help="methods: which size.",
)
@click.option(
    "--cache",
    type=_PATH,
    default=None,
    help="methods: decoded images and tables.  [default: runs/tables]",
)
@click.option("--seed", type=int, default=1, show_default=True, help="methods: of all chance.")
@click.option("--device", default="cpu", show_default=True, help="methods: cpu or cuda.")
@click.option("--bf16", is_flag=True, help="methods: mixed precision with bfloat16.")
@click.option("--fp16", is_flag=True, help="methods: mixed precision with float16 (CUDA).")
@click.option(
    "--judge", type=click.Choice(("epoch", "end", "never")), default="epoch", show_default=True,
    help="methods: when validation scores are taken.",
)  # fmt: skip
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="methods: steps of each stage, in place of the recipe's epochs.",
)
@click.option(
    "--save-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="methods: steps between two saves.",
)
@click.option(
    "--shared", type=_PATH, default=_SHARED, help="default: folder of faces and teachers."
)
@click.option(
    "--labels",
    type=_PATH,
    default=Path("runs/labels"),
    show_default=True,
    help="default: of `label`.",
)
@click.option("--renders", type=_PATH, default=None, help="default: folder of rendered faces.")
@click.option(
    "--wild",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="default: RenderWild folders.",
)
@click.option("--rendered-only", is_flag=True, help="default: leave out FER+ and the web faces.")
@click.option(
    "--start",
    metavar="BUNDLE",
    help="default: begin with this bundle's weights: a folder, or default.",
)
@click.pass_context
def train(context: click.Context, recipe_name: str, **given: Any) -> None:
    """Train RECIPE: `default`, or a method by its name or M1 to M8 (`list` shows them) on --data.

    A stop loses at most the steps since the last save. Several GPUs: `torchrun --nproc-per-node
    N -m training train ...`.
    """
    is_default = recipe_name == "default"
    for name in _OF_METHODS if is_default else _OF_DEFAULT:
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            whose = "the methods" if is_default else "the recipe default"
            raise click.ClickException(
                f"--{name.replace('_', '-')} is of {whose}, {recipe_name} does not take it"
            )
    given["out"] = given["out"] or Path("runs") / recipe_name
    try:
        if is_default:
            _train_default(
                **{name: given[name] for name in (*_OF_DEFAULT, "out", "resume", "options")}
            )
        else:
            _train_method(
                recipe_name,
                **{name: given[name] for name in (*_OF_METHODS, "out", "resume", "options")},
            )
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _train_default(
    out: Path,
    resume: bool,
    rendered_only: bool,
    options: tuple[str, ...],
    labels: Path | None,
    start: str | None,
    **data: Any,
) -> None:
    from training.default_model.build_trainer import open_loop, prepare_loop
    from training.default_model.default_recipe import recipe
    from training.default_model.trainer import STATE_FILE

    if (out / STATE_FILE).exists() and not resume:
        raise click.ClickException(
            f"{out} holds a run already; add --resume or choose another --out"
        )
    loop = open_loop(
        with_options(recipe(), list(options)), out, labels=None if rendered_only else labels, **data
    )
    prepare_loop(loop, resume, start)
    loop.run()


def _train_method(
    name: str,
    data: Path | None,
    out: Path,
    options: tuple[str, ...],
    preset: str,
    bf16: bool,
    fp16: bool,
    **order: Any,
) -> None:
    from training.methods.recipe_lookup import find_recipe
    from training.methods.train_run import RunOrder, train_run
    from training.methods.trainer import TrainingError

    recipe = find_recipe(name, preset, list(options))
    if data is None:
        raise click.ClickException(
            f"{name} trains on a data set in the layout of Aff-Wild2: add --data FOLDER"
        )
    if bf16 and fp16:
        raise click.ClickException("--bf16 and --fp16 exclude each other")
    precision = "bfloat16" if bf16 else "float16" if fp16 else "float32"
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *place, **more: click.echo(
                str(message), err=True
            )
            train_run(recipe, RunOrder(data, out, precision=precision, **order), click.echo)
    except TrainingError as error:
        raise click.ClickException(str(error)) from None
