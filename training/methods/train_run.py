"""A whole run of a method in one folder: data, training in all stages, validation scores after each
epoch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from training.datasets.splits import Fold
from training.engine.checkpoint import EMA_FILE, STATE_FILE, TrainingError
from training.engine.distributed import ProcessGroup
from training.engine.trainer import TrainerConfig
from training.losses.total_loss import LossTerm
from training.methods.batch_builder import InputSpec
from training.methods.build_sampler import recipe_tasks
from training.methods.data import InputNeeds, MethodData, open_method_data
from training.methods.external_data import DataSource
from training.methods.load_run import read_recipe
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.recipe import MethodRecipe
from training.methods.score_log import ScoreLog
from training.methods.train_method import train_method, validation_scores
from training.metrics import CHALLENGE_EXPRESSIONS
from training.models.cost import on_meta
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet


def open_recipe_data(
    recipe: MethodRecipe,
    folder: Path,
    cache: Path | None = None,
    *,
    timing: bool = False,
    more: Sequence[DataSource] = (),
    fold: Fold | None = None,
) -> MethodData:
    """A data set with the image size, audio, landmarks and tasks that the recipe needs, and with
    frame times if `timing`; training rows of `more` data sets are added.
    """
    needs = recipe_inputs(recipe)
    return open_method_data(
        folder,
        needs.size_px,
        needs.audio,
        cache,
        landmarks=needs.landmarks,
        tasks=recipe_tasks(recipe),
        timing=timing,
        more=more,
        fold=fold,
        other=getattr(recipe.net, "expressions", 0) == len(CHALLENGE_EXPRESSIONS),
    )


def recipe_inputs(recipe: MethodRecipe) -> InputNeeds:
    """Images, audio and landmarks that the recipe's network and losses need."""
    net = on_meta(lambda: build_network(recipe.net))
    assert isinstance(net, MethodNet)
    form = InputSpec.of(net, recipe.sampling.form)
    landmarks = form.form == "clips" or uses_landmarks(recipe.losses)
    return InputNeeds(form.size_px, form.audio_columns > 0, landmarks)


def uses_landmarks(losses: tuple[LossTerm, ...]) -> bool:
    return any(term.label == "landmarks_49" for term in losses)


def train_run(
    recipe: MethodRecipe,
    folder: Path,
    config: TrainerConfig,
    *,
    cache: Path | None = None,
    more: Sequence[DataSource] = (),
    fold: Fold | None = None,
    eval_every: str = "epoch",
    echo: Callable[[str], None] = print,
) -> MethodNet:
    """Train `recipe` in all its stages on the data set in `folder`, and write scores.json beside
    the trainer's files.

    Training rows of `more` data sets are added; `fold` replaces the official validation videos.
    `eval_every` is the interval of validation scores: epoch (the weights of the best epoch are
    kept), end or never.

    Raises:
        TrainingError: the output folder holds a run that is not to be resumed, or one of another
            recipe.
        ValueError, OSError: as the data set's reader, or options that do not fit together.
    """
    _check_folder(recipe, config)
    warn_of_chance(recipe)
    processes = ProcessGroup.from_environment(config.device)
    warn_of_missing_data(recipe, more)
    data = open_recipe_data(recipe, folder, cache, more=more, fold=fold)
    config = replace(
        config,
        metadata=_metadata(folder, data, config) | ({"fold": str(fold)} if fold else {}),
        keep_best=eval_every == "epoch",
        echo=echo if processes.is_first else config.echo,
    )
    train = multi_stage_training_for(recipe) or train_method
    net = train(recipe, data, config)
    if processes.is_first and eval_every == "end":
        log = ScoreLog(validation_scores(recipe, data), config)
        log.at_end(net, _average(recipe, config, net))
    return net


def _average(recipe: MethodRecipe, config: TrainerConfig, net: MethodNet) -> MethodNet | None:
    """The moving average of the run's weights, if it has one."""
    path = config.folder / EMA_FILE
    if not path.is_file():
        return None
    average = build_network(recipe.net)
    average.load_state_dict(load_file(path))
    return average.to(next(net.parameters()).device)


def warn_of_chance(recipe: MethodRecipe) -> None:
    """Warn if a published network would start from random weights."""
    if recipe.preset == "published" and not (recipe.trunk_weights or recipe.init_from):
        warnings.warn(
            f"{recipe.title} STARTS FROM RANDOM WEIGHTS. The published network starts from "
            "pretrained ones, and its figures cannot be expected without; "
            "set --set trunk_weights=FILE (docs/affwild2.md names the files)",
            stacklevel=2,
        )


def warn_of_missing_data(recipe: MethodRecipe, more: Sequence[DataSource]) -> None:
    """Warn if the paper trained on further data sets that a published run lacks."""
    missing = [kind for kind in recipe.databases if kind not in {each.kind for each in more}]
    if recipe.preset == "published" and missing:
        warnings.warn(
            f"{recipe.paper} was published with further data sets: {', '.join(missing)}; "
            "whoever has them adds --data KIND:FOLDER",
            stacklevel=2,
        )


def _check_folder(recipe: MethodRecipe, config: TrainerConfig) -> None:
    """Raise on a folder with another run before the data set is read."""
    out = config.folder
    if not config.resume and any(out.glob(f"**/{STATE_FILE}")):
        raise TrainingError(f"{out} holds a run already; add --resume or choose another --out")
    if not (out / STATE_FILE).exists():
        return
    saved = read_recipe(out)
    if (saved.paper, saved.preset, saved.net) != (recipe.paper, recipe.preset, recipe.net):
        raise TrainingError(
            f"{out} holds a run of {saved.title}, not of {recipe.title} with these "
            "options; choose another --out"
        )


def _metadata(folder: Path, data: MethodData, config: TrainerConfig) -> dict[str, Any]:
    """Entries of run.json beside the recipe."""
    splits = {
        name: {
            "videos": len(table.videos),
            "frames": len(table),
            "labeled": table.masks.sum(axis=0).tolist(),
        }
        for name, table in (("train", data.train), ("validation", data.validation))
    }
    return {
        "seed": config.seed,
        "precision": config.precision,
        "data": {"name": folder.resolve().name, **splits},
        "torch": torch.__version__,
    }
