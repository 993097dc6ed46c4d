"""A whole run of a method in one folder: data, training in all stages, validation scores after each
epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
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
EVAL_EVERY: Final = ("epoch", "end", "never")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Data and options of a run; `eval_every` is the interval of validation scores."""

    data: Path
    out: Path
    cache: Path | None = None
    seed: int = 1
    resume: bool = False
    device: str = "cpu"
    precision: str = "float32"
    eval_every: str = "epoch"
    steps: int | None = None
    save_every: int = 100


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
    recipe: MethodRecipe, run: RunConfig, echo: Callable[[str], None] = print
) -> MethodNet:
    """Train `recipe` in all its stages and write scores.json beside the trainer's files.

    Raises:
        TrainingError: the folder holds a run that is not to be resumed, or one of another recipe.
        ValueError, OSError: as the data set's reader, or options that do not fit together.
    """
    _check_folder(recipe, run)
    processes = ProcessGroup.from_environment(run.device)
    data = open_recipe_data(recipe, run.data, run.cache)
    config = TrainerConfig(
        run.out,
        seed=run.seed,
        device=run.device,
        precision=run.precision,
        steps=run.steps,
        save_every=run.save_every,
        resume=run.resume,
        metadata=_metadata(run, data),
    )
    scores = ScoreLog(recipe, data, run, echo if processes.is_first else lambda text: None)
    train = multi_stage_training_for(recipe) or train_method
    net = train(recipe, data, config, after_epoch=scores.after_epoch)
    if processes.is_first and run.eval_every != "never":
        scores.at_end(net)
    return net


def _check_folder(recipe: MethodRecipe, run: RunConfig) -> None:
    """Raise on wrong options before the data set is read."""
    if run.eval_every not in EVAL_EVERY:
        raise ValueError(
            f"eval_every must be one of {', '.join(EVAL_EVERY)}, got {run.eval_every!r}"
        )
    if run.precision == "float16" and not run.device.startswith("cuda"):
        raise ValueError("16-bit floats (--fp16) need --device cuda; on the CPU use --bf16")
    if not run.resume and any(run.out.glob(f"**/{STATE_FILE}")):
        raise TrainingError(f"{run.out} holds a run already; add --resume or choose another --out")
    if not (run.out / STATE_FILE).exists():
        return
    saved = read_recipe(run.out)
    if (saved.paper, saved.preset, saved.net) != (recipe.paper, recipe.preset, recipe.net):
        raise TrainingError(
            f"{run.out} holds a run of {saved.title}, not of {recipe.title} with these "
            "options; choose another --out"
        )


def _metadata(run: RunConfig, data: MethodData) -> dict[str, Any]:
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
        "seed": run.seed,
        "precision": run.precision,
        "data": {"name": run.data.resolve().name, **splits},
        "torch": torch.__version__,
    }


class ScoreLog:
    """Validation scores of a run, kept in scores.json."""

    def __init__(
        self, recipe: MethodRecipe, data: MethodData, run: RunConfig, echo: Callable[[str], None]
    ) -> None:
        self._recipe, self._data, self._run, self._echo = recipe, data, run, echo
        self.path = run.out / SCORES_FILE
        self._has_written = False  # until then a file there is of an earlier run in this folder

    def after_epoch(self, epoch: int, net: MethodNet) -> None:
        if self._run.eval_every != "epoch":
            return
        scores = self._evaluate(net)
        # A run resumed from its last save comes to an epoch twice.
        epochs = [entry for entry in self._read_epochs() if entry["epoch"] < epoch]
        self._write({"epochs": [*epochs, {"epoch": epoch, "scores": scores}]})
        self._echo(f"epoch {epoch}: {scores_text(scores)}")

    def at_end(self, net: MethodNet) -> None:
        """Scores of the trained network, and of its EMA if it has one."""
        content: dict[str, Any] = {"epochs": self._read_epochs(), "final": self._evaluate(net)}
        self._echo(f"trained: {scores_text(content['final'])}")
        if (self._run.out / EMA_FILE).is_file():
            ema = build_network(self._recipe.net)
            ema.load_state_dict(load_file(self._run.out / EMA_FILE))
            ema.to(next(net.parameters()).device)
            content["ema"] = self._evaluate(ema)
            self._echo(f"its moving average: {scores_text(content['ema'])}")
        self._write(content)

    def _evaluate(self, net: MethodNet) -> dict[str, Any]:
        predictions = method_predictions(net, self._recipe, self._data.validation, self._data)
        return method_scores(predictions, self._data.validation)

    def _read_epochs(self) -> list[dict[str, Any]]:
        if not self._run.resume and not self._has_written:
            return []
        try:
            return list(json.loads(self.path.read_text(encoding="utf-8"))["epochs"])
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self, content: dict[str, Any]) -> None:
        self._has_written = True
        write_json(self.path, content)
