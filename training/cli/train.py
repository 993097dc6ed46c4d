"""`python -m training train`: the default model, or one of the eight methods."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from training.cli.config_file import CONFIG_FILE, load_defaults, write_config
from training.cli.loop import check_folder, reported_errors
from training.cli.options import (
    PATH,
    cache_option,
    data_options,
    data_paths,
    init_from_option,
    resume_option,
    set_option,
    synthetic_only_option,
)
from training.methods.recipe import PRESETS

_DEFAULT_MODEL_OPTIONS: Final = {
    "assets",
    "labels",
    "synthetic_images",
    "synthetic_videos",
    "synthetic_only",
}
_METHOD_OPTIONS: Final = {
    "data",
    "preset",
    "cache",
    "seed",
    "device",
    "bf16",
    "fp16",
    "eval_every",
    "steps",
    "save_every",
    "loader_threads",
    "accumulate",
    "recompute",
    "sync_norm",
    "compile",
    "fold",
}


@click.command()
@click.argument("recipe_name", metavar="RECIPE", required=False)
@click.option(
    "--config",
    type=PATH,
    is_eager=True,
    expose_value=False,
    callback=load_defaults,
    help="Options from a TOML file, such as the config.toml of a run; others override them.",
)
@click.option("--out", type=PATH, help="Folder of the run.  [default: runs/RECIPE]")
@resume_option
@set_option
@click.option(
    "--data",
    multiple=True,
    metavar="FOLDER",
    help="methods: Aff-Wild2 or RenderWild; KIND:FOLDER adds training rows of another data set.",
)
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="published",
    show_default=True,
    help="methods: size.",
)
@cache_option
@click.option("--seed", type=int, default=1, show_default=True, help="methods: random seed.")
@click.option("--device", default="cpu", show_default=True, help="methods: cpu or cuda.")
@click.option("--bf16", is_flag=True, help="methods: mixed precision with bfloat16.")
@click.option("--fp16", is_flag=True, help="methods: mixed precision with float16 (CUDA).")
@click.option(
    "--eval-every",
    type=click.Choice(("epoch", "end", "never")),
    default="epoch",
    show_default=True,
    help="methods: when to compute validation scores.",
)
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
    "--loader-threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="methods: threads that build batches.",
)
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="methods: parts that a batch is trained in, to save memory.",
)
@click.option(
    "--recompute",
    is_flag=True,
    help="methods: compute activations of trunks again for the backward pass, to save memory.",
)
@click.option(
    "--sync-norm",
    is_flag=True,
    help="methods: batch statistics over the shards of all GPUs.",
)
@click.option(
    "--compile",
    is_flag=False,
    flag_value="inductor",
    default="",
    metavar="[BACKEND]",
    help="methods: torch.compile the network.",
)
@click.option(
    "--fold",
    metavar="K/N",
    help="methods: validate on the K-th of N parts of the people, not on the official videos.",
)
@data_options
@synthetic_only_option
@init_from_option
@click.pass_context
def train(context: click.Context, /, recipe_name: str | None, **options: Any) -> None:
    """Train RECIPE: `default`, or a method by its name or M1 to M8 (`list-recipes`) on --data.

    A stop loses at most the steps since the last save. Several GPUs: `torchrun --nproc-per-node
    N -m training train ...`.
    """
    if recipe_name is None:
        raise click.UsageError("RECIPE is missing: default, or a method (`list-recipes`)")
    is_default = recipe_name == "default"
    for name in sorted(_METHOD_OPTIONS if is_default else _DEFAULT_MODEL_OPTIONS):
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            owner = "the methods" if is_default else "the recipe default"
            raise click.ClickException(
                f"--{name.replace('_', '-')} is an option of {owner}, not of {recipe_name}"
            )
    out = options.pop("out") or Path("runs") / recipe_name
    recorded = {"recipe_name": recipe_name, **options}
    del recorded["resume"]
    with reported_errors():
        check_folder(out, options["resume"])
        write_config(out / CONFIG_FILE, recorded)
        if is_default:
            _train_default(out, options)
        else:
            _train_method(recipe_name, out, options)


def _train_default(out: Path, options: dict[str, Any]) -> None:
    from training.default_model.build_trainer import build_default_trainer, prepare_trainer
    from training.default_model.default_recipe import recipe
    from training.engine.recipe_overrides import apply_overrides

    check_folder(out, options["resume"])
    student = apply_overrides(recipe(), options["overrides"])
    trainer = build_default_trainer(student, out, data_paths(options))
    prepare_trainer(trainer, options["resume"], options["init_from"])
    trainer.run()


def _train_method(name: str, out: Path, options: dict[str, Any]) -> None:
    from training.datasets.splits import Fold
    from training.engine.checkpoint import TrainingError
    from training.engine.trainer import TrainerConfig
    from training.methods.external_data import DataSource
    from training.methods.recipe_lookup import find_recipe
    from training.methods.train_run import train_run

    recipe = find_recipe(name, options["preset"], options["overrides"])
    if options["init_from"]:
        recipe = replace(recipe, init_from=options["init_from"])
    if not options["data"]:
        raise click.ClickException(
            f"{name} trains on a data set in the layout of Aff-Wild2: add --data FOLDER"
        )
    first, *more = [DataSource.parse(text) for text in options["data"]]
    if first.kind != "affwild2":
        raise click.ClickException(
            f"the first --data is in the layout of Aff-Wild2 and has the validation set, "
            f"got {first.kind}:{first.folder}"
        )
    if options["bf16"] and options["fp16"]:
        raise click.ClickException("--bf16 and --fp16 exclude each other")
    precision = "bfloat16" if options["bf16"] else "float16" if options["fp16"] else "float32"
    if options["fp16"] and not options["device"].startswith("cuda"):
        raise click.ClickException(
            "16-bit floats (--fp16) need --device cuda; on the CPU use --bf16"
        )
    names = (
        *("seed", "device", "steps", "save_every", "resume"),
        *("loader_threads", "accumulate", "recompute", "sync_norm", "compile"),
    )
    config = TrainerConfig(out, precision=precision, **{name: options[name] for name in names})
    with reported_errors(TrainingError), warnings.catch_warnings():
        warnings.showwarning = lambda message, *place, **more: click.echo(str(message), err=True)
        train_run(
            recipe,
            first.folder,
            config,
            cache=options["cache"],
            more=more,
            fold=Fold.parse(options["fold"]) if options["fold"] else None,
            eval_every=options["eval_every"],
            echo=click.echo,
        )
