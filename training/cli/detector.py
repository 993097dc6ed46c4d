"""`python -m training train-detector`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from training.cli.loop import run_trainer
from training.cli.options import (
    EXISTING,
    assets_option,
    out_option,
    resume_option,
    set_option,
    threads_option,
)

if TYPE_CHECKING:
    from training.engine.trainer import Trainer


@click.command("train-detector")
@out_option("runs/detector")
@assets_option
@click.option("--synthetic-videos", type=EXISTING, help="A RenderWild folder (synthetic videos).")
@resume_option
@threads_option
@set_option
def train_detector(
    out: Path,
    assets: Path,
    synthetic_videos: Path | None,
    resume: bool,
    threads: int,
    overrides: tuple[str, ...],
) -> None:
    """Distill the face detector from YuNet (about 20 minutes of one core); a stop loses at most 100
    steps.
    """
    from training.detector.train_detector import DetectorRecipe, build_detector_trainer
    from training.engine.recipe_overrides import apply_overrides

    def build() -> Trainer:
        recipe = apply_overrides(DetectorRecipe(), overrides)
        return build_detector_trainer(recipe, out, assets, synthetic_videos, threads)

    trainer = run_trainer(out, resume, build)
    click.echo(
        f"{out}: {trainer.steps} steps; export it with `python -m export.export_detector {out}`"
    )
