"""Command `distill`: trains the default model on the predictions of methods or bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli.loop import check_folder, reported_errors
from training.cli.options import (
    EXISTING_FOLDER,
    cache_option,
    data_options,
    data_paths,
    init_from_option,
    out_option,
    resume_option,
    set_option,
    synthetic_only_option,
)


@click.command()
@click.option(
    "--teacher",
    "teachers",
    type=EXISTING_FOLDER,
    multiple=True,
    required=True,
    help="Folder of a trained method or of a bundle; repeat for the mean of their probabilities.",
)
@out_option("runs/distilled")
@data_options
@synthetic_only_option
@click.option(
    "--real-only",
    is_flag=True,
    help="Use the teachers for real faces alone, not for synthetic ones, whose truth is known.",
)
@click.option(
    "--teacher-weight",
    type=float,
    default=0.4,
    show_default=True,
    help="Weight of the teachers' targets beside a label.",
)
@click.option(
    "--unlabeled-weight",
    type=float,
    default=0.5,
    show_default=True,
    help="Loss weight of targets that are the teachers' alone.",
)
@init_from_option
@cache_option
@resume_option
@set_option
def distill(
    teachers: tuple[Path, ...],
    out: Path,
    real_only: bool,
    teacher_weight: float,
    unlabeled_weight: float,
    **options: Any,
) -> None:
    """Train the default model with the soft targets of trained methods, or of a default model's
    bundle.

    Each teacher predicts AUs, expressions, valence and arousal, as far as it has these outputs.
    Predictions are kept in --out for a later --resume. The run is exported and measured as any
    run of the default model.
    """
    from training.default_model.build_trainer import build_default_trainer, prepare_trainer
    from training.default_model.default_recipe import recipe
    from training.distillation.teachers import DistillationConfig, TeacherEnsemble
    from training.engine.recipe_overrides import apply_overrides

    check_folder(out, options["resume"])
    with reported_errors():
        student = apply_overrides(recipe(), options["overrides"])
        config = DistillationConfig(teacher_weight, unlabeled_weight, not real_only)
        ensemble = TeacherEnsemble(teachers, out, config, options["cache"])
        ensemble.write_record()
        trainer = build_default_trainer(student, out, data_paths(options), ensemble)
        prepare_trainer(trainer, options["resume"], options["init_from"])
    trainer.run()
