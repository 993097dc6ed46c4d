"""A whole run of a method in one folder: data, training in all stages, validation scores after each
epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from training.engine.checkpoint import EMA_FILE, STATE_FILE, TrainingError, write_json
from training.engine.distributed import ProcessGroup
from training.engine.trainer import TrainerConfig
from training.losses.total_loss import LossTerm
from training.methods.batch_builder import InputSpec
from training.methods.build_sampler import recipe_tasks
from training.methods.data import MethodData, open_method_data
from training.methods.load_run import read_recipe
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.scores import method_scores, scores_text
from training.methods.train_method import train_method
from training.models.cost import on_meta
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet

SCORES_FILE: Final = "scores.json"


def open_recipe_data(
    recipe: MethodRecipe, folder: Path, cache: Path | None = None, *, timing: bool = False
) -> MethodData:
    """A data set with the image size, audio, landmarks and tasks that the recipe needs, and with
    frame times if `timing`.
    """
    net = on_meta(lambda: build_network(recipe.net))
    assert isinstance(net, MethodNet)
    form = InputSpec.of(net, recipe.sampling.form)
    return open_method_data(
        folder,
        form.size_px,
        form.audio_columns > 0,
        cache,
        landmarks=form.form == "clips" or uses_landmarks(recipe.losses),
        tasks=recipe_tasks(recipe),
        timing=timing,
    )


def uses_landmarks(losses: tuple[LossTerm, ...]) -> bool:
    return any(term.label == "landmarks_49" for term in losses)


def train_run(
    recipe: MethodRecipe,
    folder: Path,
    config: TrainerConfig,
    *,
    cache: Path | None = None,
    eval_every: str = "epoch",
    echo: Callable[[str], None] = print,
) -> MethodNet:
    """Train `recipe` in all its stages on the data set in `folder`, and write scores.json beside
    the trainer's files.

    `eval_every` is the interval of validation scores: epoch, end or never.

    Raises:
        TrainingError: the output folder holds a run that is not to be resumed, or one of another
            recipe.
        ValueError, OSError: as the data set's reader, or options that do not fit together.
    """
    _check_folder(recipe, config)
    processes = ProcessGroup.from_environment(config.device)
    data = open_recipe_data(recipe, folder, cache)
    config = replace(config, metadata=_metadata(folder, data, config))
    scores = ScoreLog(recipe, data, config, echo if processes.is_first else lambda text: None)
    train = multi_stage_training_for(recipe) or train_method
    after_epoch = scores.after_epoch if eval_every == "epoch" else None
    net = train(recipe, data, config, after_epoch=after_epoch)
    if processes.is_first and eval_every != "never":
        scores.at_end(net)
    return net


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


class ScoreLog:
    """Validation scores of a run, kept in scores.json."""

    def __init__(
        self,
        recipe: MethodRecipe,
        data: MethodData,
        config: TrainerConfig,
        echo: Callable[[str], None],
    ) -> None:
        self._recipe, self._data, self._config, self._echo = recipe, data, config, echo
        self.path = config.folder / SCORES_FILE
        self._has_written = False  # until then a file there is of an earlier run in this folder

    def after_epoch(self, epoch: int, net: MethodNet) -> None:
        scores = self._evaluate(net)
        # A run resumed from its last save comes to an epoch twice.
        epochs = [entry for entry in self._read_epochs() if entry["epoch"] < epoch]
        self._write({"epochs": [*epochs, {"epoch": epoch, "scores": scores}]})
        self._echo(f"epoch {epoch}: {scores_text(scores)}")

    def at_end(self, net: MethodNet) -> None:
        """Scores of the trained network, and of its EMA if it has one."""
        content: dict[str, Any] = {"epochs": self._read_epochs(), "final": self._evaluate(net)}
        self._echo(f"trained: {scores_text(content['final'])}")
        ema_file = self._config.folder / EMA_FILE
        if ema_file.is_file():
            ema = build_network(self._recipe.net)
            ema.load_state_dict(load_file(ema_file))
            ema.to(next(net.parameters()).device)
            content["ema"] = self._evaluate(ema)
            self._echo(f"its moving average: {scores_text(content['ema'])}")
        self._write(content)

    def _evaluate(self, net: MethodNet) -> dict[str, Any]:
        predictions = method_predictions(net, self._recipe, self._data.validation, self._data)
        return method_scores(predictions, self._data.validation)

    def _read_epochs(self) -> list[dict[str, Any]]:
        if not self._config.resume and not self._has_written:
            return []
        try:
            return list(json.loads(self.path.read_text(encoding="utf-8"))["epochs"])
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self, content: dict[str, Any]) -> None:
        self._has_written = True
        write_json(self.path, content)
