"""One run: the data of its setting, training, scores, record."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.ablations.full_ground_truth import FullGroundTruth, read_whole_truth, size_of
from training.ablations.majority import majority_predictions
from training.ablations.records import Record, machine_name
from training.ablations.scenarios import SETTINGS, SettingData
from training.ablations.transformed_images import transformed_images
from training.ablations.variants import Ablation, Run
from training.datasets.frame_table import TASKS, FrameTable, Task
from training.datasets.image_store import concat_stores
from training.engine.trainer import TrainerConfig
from training.methods.batch_builder import LABELS, InputSpec
from training.methods.build_sampler import build_sampler, recipe_tasks
from training.methods.data import MethodData, open_method_data
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.predict import MethodPredictions
from training.methods.recipe import MethodRecipe
from training.methods.scores import method_predictions, method_scores
from training.methods.train_method import train_method
from training.metrics import f1
from training.models.backbones.load_weights import read_weights
from training.models.backbones.start_trunks import is_region_trunk
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet

SPARSE: Final = "people"
"""Size of the RenderWild with many people and few frames a second."""

_WITH_LANDMARKS: Final = ("M4", "M5")
_WITH_AUDIO: Final = ("M2", "M5")
SAVE_EVERY: Final = 100
_BY_PHASE: Final = ("phases", "epoch")
_REGION_TRUNK: Final = ("M4",)
"""Methods whose compact network begins with a region trunk; all others have a small ResNet."""


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where things lie: RenderWild folders, and a folder for everything that is made on the way."""

    data: tuple[Path, ...]
    work: Path
    trunks: tuple[
        Path, ...
    ] = ()  # weights that image trunks begin with, of `training pretrain`: one file for each kind

    @property
    def cache(self) -> Path:
        return self.work / "cache"

    def run(self, name: str, scale: float) -> Path:
        """Folder of a run; one of other steps is another run."""
        return self.work / "runs" / f"{name}-x{scale:g}"


def trunk_of(run: Run, places: RunPaths) -> Path | None:
    """The weights that a run's network begins with; None where no file is of its kind: it begins
    with chance.
    """
    wants_region = run.trial.method in _REGION_TRUNK
    return next(
        (path for path in places.trunks if is_region_trunk(read_weights(path)) == wants_region),
        None,
    )


def trunk_digest(run: Run, places: RunPaths) -> str:
    """SHA-256 of the weights that a run begins with; empty where it begins with chance."""
    path = trunk_of(run, places)
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


class FoldersTruth:
    """The folders' whole truths, read when they are asked for; `people` is the one of that size,
    `video` the other.
    """

    def __init__(self, places: RunPaths) -> None:
        if not 1 <= len(places.data) <= 2:
            raise ValueError(f"one or two RenderWild folders are wanted, got {len(places.data)}")
        sizes = {folder: size_of(folder) for folder in places.data}
        self._sparse = next(
            (folder for folder, size in sizes.items() if size == SPARSE), places.data[0]
        )
        self._dense = next(
            (folder for folder in places.data if folder != self._sparse), self._sparse
        )
        self._cache = places.cache

    @cached_property
    def people(self) -> FullGroundTruth:
        return read_whole_truth(self._sparse, self._cache)

    @cached_property
    def video(self) -> FullGroundTruth:
        return (
            self.people
            if self._dense == self._sparse
            else read_whole_truth(self._dense, self._cache)
        )


_truth = lru_cache(maxsize=1)(FoldersTruth)


def setting_data(trial: Ablation, seed: int, places: RunPaths) -> SettingData:
    return SETTINGS[trial.setting].make(_truth(places), seed)


def method_data(
    run: Run, recipe: MethodRecipe, setting: SettingData, places: RunPaths
) -> MethodData:
    """The setting's tables with images at the network's size, and audio and landmarks where the
    method wants them.
    """
    method, side = run.trial.method, recipe.net.size_px
    audio, points = method in _WITH_AUDIO, method in _WITH_LANDMARKS
    opened = [
        open_method_data(
            folder,
            side,
            audio,
            places.cache,
            landmarks=points,
            progress=False,
            evaluation_only=True,
        )
        for folder in places.data
        if _is_used(folder, setting)
    ]
    images = (
        opened[0].images if len(opened) == 1 else concat_stores([each.images for each in opened])
    )
    images = transformed_images(images, setting, places.cache / "settings")
    return MethodData(setting.train, setting.validation, images, opened[0].tracks)


def _is_used(folder: Path, setting: SettingData) -> bool:
    root = f"{folder.resolve()}/"
    tables = (setting.train, setting.validation)
    return any(
        table.path[int(row)].as_py().startswith(root)
        for table in tables
        for row in np.unique(table.video, return_index=True)[1]
    )


def arm_table(table: FrameTable, run: Run) -> FrameTable:
    """The training rows of an arm."""
    if run.arm.rows == "both":
        return table.select(table.labeled("AU") & table.labeled("EXPR"))
    return table


def run_steps(run: Run, recipe: MethodRecipe, table: FrameTable, scale: float) -> int:
    """Steps of the judged network; whole epochs where an epoch has phases, so that none is cut off."""
    steps = max(1, round(run.trial.steps * scale))
    if recipe.sampler not in _BY_PHASE and not (
        recipe.sampler == "alternate" and recipe.sampling.turn in _BY_PHASE
    ):
        return steps
    each = build_sampler(
        recipe, table, InputSpec.of(build_network(recipe.net), recipe.sampling.form), run.seed
    ).count(0)
    return max(1, round(steps / each)) * each


def make_record(
    run: Run, places: RunPaths, scale: float = 1.0, save_every: int = SAVE_EVERY
) -> Record:
    """Train, resuming what is there, judge on the setting's validation set, and tell."""
    torch.set_num_threads(1)
    recipe, setting = run.recipe(), setting_data(run.trial, run.seed, places)
    trunk = trunk_of(run, places)
    if trunk is not None:
        recipe = replace(recipe, trunk_weights=str(trunk))
    setting = replace(setting, train=arm_table(setting.train, run))
    data = method_data(run, recipe, setting, places)
    started, is_new = time.process_time(), not places.run(run.name, scale).exists()
    steps = run_steps(run, recipe, data.train, scale)
    predictions, net = _trained(
        run, recipe, data, places.run(run.name, scale), steps, save_every, setting.input_fps
    )
    scores, headline = judged(run.trial, predictions, setting)
    return Record(
        name=run.name,
        method=run.trial.method,
        setting=run.trial.setting,
        arm=run.arm.name,
        seed=run.seed,
        judged=tuple(task for task in run.trial.judged if task in scores),
        headline=headline,
        scores=scores,
        facts=setting.facts,
        recipe={
            "options": [*run.trial.options, *run.arm.options],
            "batch": recipe.batch,
            "preset": recipe.preset,
            "trunk": trunk_digest(run, places),
        },
        steps=steps,
        scale=scale,
        cpu_seconds=round(time.process_time() - started, 1) if is_new else None,
        parameters=sum(value.numel() for value in net.parameters()),
        machine=machine_name(),
    )


def _trained(
    run: Run,
    recipe: MethodRecipe,
    data: MethodData,
    folder: Path,
    steps: int,
    save_every: int,
    input_fps: float | None,
) -> tuple[MethodPredictions, MethodNet]:
    """Predictions of all validation rows, and the (last) network."""
    if not run.arm.one_by_one:
        net = _train(recipe, data, folder, run.seed, steps, save_every)
        return method_predictions(net, recipe, data.validation, data, input_fps=input_fps), net
    parts: dict[str, Any] = {}
    for task in recipe_tasks(recipe):
        single = replace(
            recipe, losses=tuple(term for term in recipe.losses if term.label == LABELS[task])
        )
        net = _train(
            single,
            replace(data, train=_only(data.train, task)),
            folder / LABELS[task],
            run.seed,
            steps,
            save_every,
        )
        said = method_predictions(net, single, data.validation, data, input_fps=input_fps)
        parts[LABELS[task]] = getattr(said, LABELS[task])
    return MethodPredictions(said.known, **{name: parts.get(name) for name in LABELS.values()}), net


def _train(
    recipe: MethodRecipe, data: MethodData, folder: Path, seed: int, steps: int, save_every: int
) -> MethodNet:
    train = multi_stage_training_for(recipe) or train_method
    return train(
        recipe,
        data,
        TrainerConfig(folder, seed=seed, resume=True, steps=steps, save_every=save_every),
    )


def _only(table: FrameTable, task: Task) -> FrameTable:
    """All rows, with the labels of one task."""
    return replace(
        table,
        au_mask=table.au_mask & (task == "AU"),
        expression_mask=table.expression_mask & (task == "EXPR"),
        va_mask=table.va_mask & (task == "VA"),
    )


def judged(
    trial: Ablation, predictions: MethodPredictions, setting: SettingData
) -> tuple[dict[str, Any], float]:
    """Scores by task, with F1 of covered units where there are any, and the mean of the judged
    tasks' scores.
    """
    scores = method_scores(predictions, setting.validation)
    if setting.hidden is not None and predictions.au is not None:
        hidden = setting.hidden & setting.validation.au_mask
        scores["AU"]["f1_mean_hidden"] = _mean_f1(
            predictions.au > 0.5, setting.validation.au > 0.5, hidden
        )
        scores["AU"]["f1_mean_seen"] = _mean_f1(
            predictions.au > 0.5, setting.validation.au > 0.5, ~hidden
        )
    tasks = [task for task in TASKS if task in trial.judged and task in scores]
    if not tasks:
        raise ValueError(
            f"{trial.name} is judged by {', '.join(trial.judged)}, its network answers {', '.join(scores)}"
        )
    return scores, float(np.mean([scores[task]["score"] for task in tasks]))


def _mean_f1(on: NDArray[np.bool_], truth: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    """Mean over units of F1 on the chosen (frame, unit) pairs; units that are never chosen or never
    present are left out.
    """
    found = [
        f1(on[rows, k], truth[rows, k]) for k, rows in enumerate(chosen.T) if truth[rows, k].any()
    ]
    return float(np.mean(found)) if found else float("nan")


def majority_record(trial: Ablation, places: RunPaths) -> Record:
    """The baseline of a trial's setting and tasks."""
    setting = setting_data(trial, 1, places)
    predictions = majority_predictions(setting.train, len(setting.validation))
    scores, headline = judged(trial, predictions, setting)
    return Record(
        name=f"{trial.name}-majority", method=trial.method, setting=trial.setting, arm="majority", seed=1,
        judged=trial.judged, headline=headline, scores=scores, facts=setting.facts, machine=machine_name(),
    )  # fmt: skip
