"""Commands of the eight methods: list of recipes, cost of their networks, trunk pretraining."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from training.cli.loop import reported_errors, run_trainer
from training.cli.options import (
    EXISTING_FOLDER,
    PATH,
    assets_option,
    cache_option,
    labels_option,
    out_option,
    resume_option,
    set_option,
    threads_option,
)

if TYPE_CHECKING:
    from training.engine.trainer import Trainer


@click.command("list-recipes")
def list_recipes() -> None:
    """Print the eight recipes: name, paper, summary."""
    from training.methods.recipe_lookup import RECIPES, find_recipe

    for name in RECIPES:
        recipe = find_recipe(name)
        click.echo(f"{name:24}{recipe.paper}  {recipe.sentence}")


@click.command("model-cost")
@click.option("--training", is_flag=True, help="Memory and operations of training steps instead.")
def model_cost(training: bool) -> None:
    """Print parameters and multiply-accumulates of the published networks and of the literature."""
    from rich.console import Console
    from rich.table import Table

    if training:
        _print_training_costs()
        return

    from training.methods.costs import cost_rows

    table = Table(
        "paper", "part", title="cost of one frame (or clip, window, second) at batch size one"
    )
    for column in ("M parameters", "expected", "difference", "GMACs", "expected", "difference"):
        table.add_column(column, justify="right")
    for row in cost_rows():
        cells = []
        values = (row.cost.parameters / 1e6, row.cost.macs / 1e9)
        for value, digits, expected, difference in zip(
            values, (3, 4), row.expected, row.differences(), strict=True
        ):
            cells += [
                f"{value:.{digits}f}",
                "" if expected is None else f"{expected:g}",
                "" if difference is None else f"{100 * difference:+.1f} %",
            ]
        table.add_row(row.paper, row.part, *cells)
    Console(width=120).print(table)


def _print_training_costs() -> None:
    from rich.console import Console
    from rich.table import Table

    from training.methods.training_costs import step_costs

    table = Table("paper", "stage", title="a training step in float32, counted without running it")
    for column in ("samples", "GB", "GB with --recompute", "GFLOP a sample"):
        table.add_column(column, justify="right")
    for cost in step_costs():
        memory = [f"{cost.gigabytes(recompute):.1f}" for recompute in (False, True)]
        table.add_row(cost.paper, cost.stage, str(cost.samples), *memory, f"{cost.flops / 1e9:.0f}")
    Console(width=120).print(table)


@click.command()
@out_option("runs/trunk")
@assets_option
@labels_option
@resume_option
@threads_option
@set_option
def pretrain(
    out: Path,
    assets: Path,
    labels: Path,
    resume: bool,
    threads: int,
    overrides: tuple[str, ...],
) -> None:
    """Train the small trunk of compact presets on FER+ and web faces (about 5 minutes of one core).

    M4 needs the kind of `--set net=small_region`. Methods start with the trunk by `train M3
    --preset compact --set trunk_weights=OUT/trunk.safetensors`.
    """
    import torch

    from training.engine.recipe_overrides import apply_overrides
    from training.methods.pretrain_trunk import PretrainRecipe, build_pretrainer, write_trunk

    torch.set_num_threads(threads)

    def build() -> Trainer:
        return build_pretrainer(apply_overrides(PretrainRecipe(), overrides), out, assets, labels)

    trainer = run_trainer(out, resume, build)
    click.echo(f"{out}: {write_trunk(trainer, out)}")


@click.command()
@click.argument("trunk")
@click.argument("data", type=EXISTING_FOLDER)
@click.option("--out", type=PATH, required=True, help="Folder of the features.")
@cache_option
@threads_option
def features(trunk: str, data: Path, out: Path, cache: Path | None, threads: int) -> None:
    """Write the features of TRUNK for every frame of DATA, and its log-mel audio, to --out.

    TRUNK is a bundle of the default network (a folder or a listed name) or a folder of `pretrain`;
    DATA is in the layout of Aff-Wild2.
    """
    from training.audio.mel_track import MelTracks
    from training.datasets.image_store import build_store
    from training.datasets.readers import load_cached
    from training.datasets.table_cache import DEFAULT_CACHE
    from training.methods.features import extract_features, open_trunk, write_features

    with reported_errors():
        frozen = open_trunk(trunk, threads)
        cache = cache or DEFAULT_CACHE
        table = load_cached("affwild2", data, cache=cache)
        images, broken = build_store(table, frozen.size_px, cache / "images")
        tracks = MelTracks(folder=cache / "mel")
        arrays = extract_features(frozen, table, images, tracks)
        note = {"data": data.resolve().name, "unreadable_images": broken}
        write_features(out, frozen, table, arrays, note)
    shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items())
    click.echo(f"{out}: {shapes}")
