"""A whole run of a method: data, training in all stages, validation scores after each epoch, all in
one folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from training.methods.batch_builder import InputSpec
from training.methods.build_sampler import recipe_tasks
from training.methods.data import MethodData, open_method_data
from training.methods.distributed import Processes
from training.methods.load_run import read_recipe
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.recipe import Recipe
from training.methods.scores import method_predictions, method_scores, scores_text
from training.methods.train_method import train_method
from training.methods.trainer import STATE_FILE, TEACHER_FILE, TrainingError
from training.models.cost import on_meta
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet

SCORES_FILE: Final = "scores.json"
JUDGE: Final = ("epoch", "end", "never")


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What is trained on and how; `judge` says when validation scores are taken."""

    data: Path
    out: Path
    cache: Path | None = None
    seed: int = 1
    resume: bool = False
    device: str = "cpu"
    precision: str = "float32"
    judge: str = "epoch"
    steps: int | None = None
    save_every: int = 100


def open_recipe_data(
    recipe: Recipe, folder: Path, cache: Path | None = None, *, timing: bool = False
) -> MethodData:
    """A data set with what the recipe's network and losses want of it: size, audio, landmarks,
    tasks; and, if asked, times.
    """
    form = InputSpec.of(on_meta(lambda: build_network(recipe.net)), recipe.sampling.form)
    wants_points = form.form == "clips" or any(
        term.label == "landmarks_49" for term in recipe.losses
    )
    audio, tasks = form.audio_columns > 0, recipe_tasks(recipe)
    return open_method_data(
        folder, form.size_px, audio, cache, landmarks=wants_points, tasks=tasks, timing=timing
    )


def train_run(recipe: Recipe, order: RunOrder, say: Callable[[str], None] = print) -> MethodNet:
    """Train `recipe` in all its stages and write scores.json beside what the loop saves.

    Raises:
        TrainingError: the folder holds a run that is not to be resumed, or one of another recipe.
        ValueError, OSError: as the data set's reader, for options that do not fit.
    """
    _check_folder(recipe, order)
    processes = Processes.joined(order.device)
    data = open_recipe_data(recipe, order.data, order.cache)
    scores = Scores(recipe, data, order, say if processes.is_first else _silent)
    options: dict[str, Any] = {
        "seed": order.seed, "resume": order.resume, "device": order.device, "precision": order.precision, "steps": order.steps,
        "save_every": order.save_every,
    }  # fmt: skip
    train = multi_stage_training_for(recipe) or train_method
    net = train(
        recipe,
        data,
        order.out,
        **options,
        facts=_facts(order, data),
        after_epoch=scores.after_epoch,
    )
    if processes.is_first and order.judge != "never":
        scores.at_end(net)
    return net


def _silent(text: str) -> None:
    """Of several processes only the first one speaks."""


def _check_folder(recipe: Recipe, order: RunOrder) -> None:
    """Tell a mistake before the data set is looked through."""
    if order.judge not in JUDGE:
        raise ValueError(f"judge must be one of {', '.join(JUDGE)}, got {order.judge!r}")
    if order.precision == "float16" and not order.device.startswith("cuda"):
        raise ValueError("16-bit floats (--fp16) need --device cuda; on the CPU take --bf16")
    if not order.resume and any(order.out.glob(f"**/{STATE_FILE}")):
        raise TrainingError(
            f"{order.out} holds a run already; add --resume or choose another --out"
        )
    if not (order.out / STATE_FILE).exists():
        return
    there = read_recipe(order.out)
    if (there.paper, there.preset, there.net) != (recipe.paper, recipe.preset, recipe.net):
        raise TrainingError(
            f"{order.out} holds a run of {there.paper} {there.preset}, not of {recipe.paper} {recipe.preset} with these "
            "options; choose another --out"
        )


def _facts(order: RunOrder, data: MethodData) -> dict[str, Any]:
    """What run.json tells of a run beside its recipe."""
    counted = {
        name: {
            "videos": len(table.videos),
            "frames": len(table),
            "labeled": table.masks.sum(axis=0).tolist(),
        }
        for name, table in (("train", data.train), ("validation", data.validation))
    }
    return {"seed": order.seed, "precision": order.precision, "data": {"name": order.data.resolve().name, **counted},
            "torch": torch.__version__}  # fmt: skip


class Scores:
    """Validation scores of a run as they come, kept in scores.json."""

    def __init__(
        self, recipe: Recipe, data: MethodData, order: RunOrder, say: Callable[[str], None]
    ) -> None:
        self._recipe, self._data, self._order, self._say = recipe, data, order, say
        self.path = order.out / SCORES_FILE
        self._has_written = (
            False  # what lies there from an earlier run in the same folder is not this run's
        )

    def after_epoch(self, epoch: int, net: MethodNet) -> None:
        if self._order.judge != "epoch":
            return
        scores = self._of(net)
        # A run that went back to its last save comes to an epoch twice.
        epochs = [each for each in self._read()["epochs"] if each["epoch"] < epoch]
        self._write({"epochs": [*epochs, {"epoch": epoch, "scores": scores}]})
        self._say(f"epoch {epoch}: {scores_text(scores)}")

    def at_end(self, net: MethodNet) -> None:
        """Scores of what was trained, and of its moving teacher if it has one."""
        found = {"epochs": self._read()["epochs"], "final": self._of(net)}
        self._say(f"trained: {scores_text(found['final'])}")
        if (self._order.out / TEACHER_FILE).is_file():
            teacher = build_network(self._recipe.net)
            teacher.load_state_dict(load_file(self._order.out / TEACHER_FILE))
            teacher.to(next(net.parameters()).device)
            found["teacher"] = self._of(teacher)
            self._say(f"its moving average: {scores_text(found['teacher'])}")
        self._write(found)

    def _of(self, net: MethodNet) -> dict[str, Any]:
        predictions = method_predictions(net, self._recipe, self._data.validation, self._data)
        return method_scores(predictions, self._data.validation)

    def _read(self) -> dict[str, Any]:
        if not self._order.resume and not self._has_written:
            return {"epochs": []}
        try:
            said: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            return {"epochs": list(said["epochs"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {"epochs": []}

    def _write(self, content: dict[str, Any]) -> None:
        self._has_written = True
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)
