"""One run: build the scenario's data, train, evaluate, return the record."""

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

from training.ablations.full_ground_truth import (
    FullGroundTruth,
    read_full_ground_truth,
    renderwild_size,
)
from training.ablations.majority import majority_predictions
from training.ablations.records import Record, machine_name
from training.ablations.scenarios import SCENARIOS, ScenarioData
from training.ablations.transformed_images import transformed_images
from training.ablations.variants import Ablation, Run
from training.datasets.frame_table import TASKS, FrameTable, Task
from training.datasets.image_store import concat_stores
from training.engine.trainer import TrainerConfig
from training.methods.batch_builder import LABELS, InputSpec
from training.methods.build_sampler import build_sampler, recipe_tasks
from training.methods.data import MethodData, open_method_data
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.predict import MethodPredictions, method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.scores import method_scores
from training.methods.train_method import train_method
from training.metrics import f1
from training.models.backbones.load_weights import read_weights
from training.models.backbones.start_trunks import is_region_trunk
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet

LOW_FPS_SIZE: Final = "people"
"""RenderWild size with many people and few frames a second."""

_WITH_LANDMARKS: Final = ("M4", "M5")
_WITH_AUDIO: Final = ("M2", "M5")
SAVE_EVERY: Final = 100
_BY_PHASE: Final = ("phases", "epoch")
_REGION_TRUNK: Final = ("M4",)
"""Methods whose compact network has a region trunk; all others have a small ResNet."""


@dataclass(frozen=True, slots=True)
class RunPaths:
    """RenderWild folders, working folder, and initial trunk weights.

    Trunk weights are those of `python -m training pretrain`, one file for each kind of trunk.
    """

    data: tuple[Path, ...]
    work: Path
    trunks: tuple[Path, ...] = ()

    @property
    def cache(self) -> Path:
        return self.work / "cache"

    def run(self, name: str, scale: float) -> Path:
        """Folder of a run at a scale."""
        return self.work / "runs" / f"{name}-x{scale:g}"


def trunk_path(run: Run, paths: RunPaths) -> Path | None:
    """Initial trunk weights of a run; None (random weights) if no file has its kind of trunk."""
    needs_region = run.ablation.method in _REGION_TRUNK
    return next(
        (path for path in paths.trunks if is_region_trunk(read_weights(path)) == needs_region),
        None,
    )


def trunk_digest(run: Run, paths: RunPaths) -> str:
    """SHA-256 of the initial trunk weights; empty if they are random."""
    path = trunk_path(run, paths)
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


class RenderWildFolders:
    """Ground truth of the RenderWild folders, read on first use."""

    def __init__(self, paths: RunPaths) -> None:
        if not 1 <= len(paths.data) <= 2:
            raise ValueError(f"expected one or two RenderWild folders, got {len(paths.data)}")
        sizes = {folder: renderwild_size(folder) for folder in paths.data}
        self._low_fps_folder = next(
            (folder for folder, size in sizes.items() if size == LOW_FPS_SIZE), paths.data[0]
        )
        self._full_fps_folder = next(
            (folder for folder in paths.data if folder != self._low_fps_folder),
            self._low_fps_folder,
        )
        self._cache = paths.cache

    @cached_property
    def low_fps(self) -> FullGroundTruth:
        return read_full_ground_truth(self._low_fps_folder, self._cache)

    @cached_property
    def full_fps(self) -> FullGroundTruth:
        return (
            self.low_fps
            if self._full_fps_folder == self._low_fps_folder
            else read_full_ground_truth(self._full_fps_folder, self._cache)
        )


_truth = lru_cache(maxsize=1)(RenderWildFolders)


def scenario_data(ablation: Ablation, seed: int, paths: RunPaths) -> ScenarioData:
    return SCENARIOS[ablation.scenario].build(_truth(paths), seed)


def method_data(
    run: Run, recipe: MethodRecipe, scenario: ScenarioData, paths: RunPaths
) -> MethodData:
    """Tables of the scenario with images at the network's size, and audio and landmarks if the
    method uses them.
    """
    method, side = run.ablation.method, recipe.net.size_px
    audio, points = method in _WITH_AUDIO, method in _WITH_LANDMARKS
    opened = [
        open_method_data(
            folder, side, audio, paths.cache, landmarks=points, progress=False, evaluation_only=True
        )
        for folder in paths.data
        if _is_used(folder, scenario)
    ]
    images = (
        opened[0].images if len(opened) == 1 else concat_stores([each.images for each in opened])
    )
    images = transformed_images(images, scenario, paths.cache / "scenarios")
    return MethodData(scenario.train, scenario.validation, images, opened[0].tracks)


def _is_used(folder: Path, scenario: ScenarioData) -> bool:
    root = f"{folder.resolve()}/"
    tables = (scenario.train, scenario.validation)
    return any(
        table.path[int(row)].as_py().startswith(root)
        for table in tables
        for row in np.unique(table.video, return_index=True)[1]
    )


def variant_table(table: FrameTable, run: Run) -> FrameTable:
    """Training rows of a variant."""
    if run.variant.fully_labeled_only:
        return table.select(table.labeled("AU") & table.labeled("EXPR"))
    return table


def run_steps(run: Run, recipe: MethodRecipe, table: FrameTable, scale: float) -> int:
    """Steps of the evaluated network, rounded to complete epochs if an epoch has phases."""
    steps = max(1, round(run.ablation.steps * scale))
    if recipe.sampler not in _BY_PHASE and not (
        recipe.sampler == "alternate" and recipe.sampling.turn in _BY_PHASE
    ):
        return steps
    epoch_steps = build_sampler(
        recipe, table, InputSpec.of(build_network(recipe.net), recipe.sampling.form), run.seed
    ).count(0)
    return max(1, round(steps / epoch_steps)) * epoch_steps


def train_and_evaluate(
    run: Run, paths: RunPaths, scale: float = 1.0, save_every: int = SAVE_EVERY
) -> Record:
    """Train or resume a run and evaluate it on the scenario's validation set."""
    torch.set_num_threads(1)
    recipe, scenario = run.recipe(), scenario_data(run.ablation, run.seed, paths)
    trunk = trunk_path(run, paths)
    if trunk is not None:
        recipe = replace(recipe, trunk_weights=str(trunk))
    scenario = replace(scenario, train=variant_table(scenario.train, run))
    data = method_data(run, recipe, scenario, paths)
    started = time.process_time()
    is_new = not paths.run(run.name, scale).exists()
    steps = run_steps(run, recipe, data.train, scale)
    predictions, net = _train_and_predict(
        run, recipe, data, paths.run(run.name, scale), steps, save_every, scenario.input_fps
    )
    scores, score = evaluate_predictions(run.ablation, predictions, scenario)
    return Record(
        name=run.name,
        method=run.ablation.method,
        scenario=run.ablation.scenario,
        variant=run.variant.name,
        seed=run.seed,
        tasks=tuple(task for task in run.ablation.tasks if task in scores),
        score=score,
        scores=scores,
        details=scenario.details,
        recipe={
            "options": [*run.ablation.options, *run.variant.options],
            "batch": recipe.batch,
            "preset": recipe.preset,
            "trunk": trunk_digest(run, paths),
        },
        steps=steps,
        scale=scale,
        cpu_seconds=round(time.process_time() - started, 1) if is_new else None,
        parameters=sum(value.numel() for value in net.parameters()),
        machine=machine_name(),
    )


def _train_and_predict(
    run: Run,
    recipe: MethodRecipe,
    data: MethodData,
    folder: Path,
    steps: int,
    save_every: int,
    input_fps: float | None,
) -> tuple[MethodPredictions, MethodNet]:
    """Predictions for all validation rows, and the (last) network."""
    if not run.variant.single_task:
        net = _train(recipe, data, folder, run.seed, steps, save_every)
        return method_predictions(net, recipe, data.validation, data, input_fps=input_fps), net
    parts: dict[str, Any] = {}
    for task in recipe_tasks(recipe):
        single = replace(
            recipe, losses=tuple(term for term in recipe.losses if term.label == LABELS[task])
        )
        net = _train(
            single,
            replace(data, train=_single_task_labels(data.train, task)),
            folder / LABELS[task],
            run.seed,
            steps,
            save_every,
        )
        predictions = method_predictions(net, single, data.validation, data, input_fps=input_fps)
        parts[LABELS[task]] = getattr(predictions, LABELS[task])
    return MethodPredictions(
        predictions.known, **{name: parts.get(name) for name in LABELS.values()}
    ), net


def _train(
    recipe: MethodRecipe, data: MethodData, folder: Path, seed: int, steps: int, save_every: int
) -> MethodNet:
    train = multi_stage_training_for(recipe) or train_method
    config = TrainerConfig(folder, seed=seed, resume=True, steps=steps, save_every=save_every)
    return train(recipe, data, config)


def _single_task_labels(table: FrameTable, task: Task) -> FrameTable:
    """Table with the labels of one task only."""
    return replace(
        table,
        au_mask=table.au_mask & (task == "AU"),
        expression_mask=table.expression_mask & (task == "EXPR"),
        va_mask=table.va_mask & (task == "VA"),
    )


def evaluate_predictions(
    ablation: Ablation, predictions: MethodPredictions, scenario: ScenarioData
) -> tuple[dict[str, Any], float]:
    """Scores by task, and the mean score of the ablation's tasks.

    If the scenario occludes faces, AU scores include the mean F1 of occluded and visible AUs.
    """
    scores = method_scores(predictions, scenario.validation)
    if scenario.occluded_aus is not None and predictions.au is not None:
        occluded = scenario.occluded_aus & scenario.validation.au_mask
        is_active = predictions.au > 0.5
        expected = scenario.validation.au > 0.5
        scores["AU"]["f1_mean_occluded"] = _mean_f1(is_active, expected, occluded)
        scores["AU"]["f1_mean_visible"] = _mean_f1(is_active, expected, ~occluded)
    tasks = [task for task in TASKS if task in ablation.tasks and task in scores]
    if not tasks:
        raise ValueError(
            f"{ablation.name}: expected predictions of {', '.join(ablation.tasks)}, "
            f"got {', '.join(scores)}"
        )
    return scores, float(np.mean([scores[task]["score"] for task in tasks]))


def _mean_f1(
    is_active: NDArray[np.bool_], truth: NDArray[np.bool_], selected: NDArray[np.bool_]
) -> float:
    """Mean over AUs of F1 on the selected (frame, AU) pairs, without AUs that are never selected or
    never present.
    """
    scores = [
        f1(is_active[rows, k], truth[rows, k])
        for k, rows in enumerate(selected.T)
        if truth[rows, k].any()
    ]
    return float(np.mean(scores)) if scores else float("nan")


def majority_record(ablation: Ablation, paths: RunPaths) -> Record:
    """Majority baseline of an ablation's scenario and tasks."""
    scenario = scenario_data(ablation, 1, paths)
    predictions = majority_predictions(scenario.train, len(scenario.validation))
    scores, score = evaluate_predictions(ablation, predictions, scenario)
    return Record(
        name=f"{ablation.name}-majority",
        method=ablation.method,
        scenario=ablation.scenario,
        variant="majority",
        seed=1,
        tasks=ablation.tasks,
        score=score,
        scores=scores,
        details=scenario.details,
        machine=machine_name(),
    )
