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
from training.datasets.frame_table import TASKS, FrameTable
from training.datasets.image_store import concat_stores
from training.engine.trainer import TrainerConfig
from training.methods.batch_builder import LABELS, InputSpec
from training.methods.build_sampler import build_sampler, recipe_tasks
from training.methods.data import MethodData, open_method_data
from training.methods.multi_stage.multi_stage_lookup import multi_stage_training_for
from training.methods.multi_stage.pseudo_label_pass import single_task_recipe, single_task_table
from training.methods.predict import MethodPredictions, method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.scores import method_scores
from training.methods.train_method import train_method
from training.metrics import f1
from training.models.backbones.load_weights import read_weights
from training.models.backbones.start_trunks import is_region_trunk
from training.models.cost import parameter_count
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
        folders = sorted(paths.data, key=lambda folder: renderwild_size(folder) != LOW_FPS_SIZE)
        self._low_fps_folder, self._full_fps_folder = folders[0], folders[-1]
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


_open_folders = lru_cache(maxsize=1)(RenderWildFolders)


def scenario_data(ablation: Ablation, seed: int, paths: RunPaths) -> ScenarioData:
    return SCENARIOS[ablation.scenario].build(_open_folders(paths), seed)


def method_data(recipe: MethodRecipe, scenario: ScenarioData, paths: RunPaths) -> MethodData:
    """Tables of the scenario with images at the network's size, and audio and landmarks if the
    method uses them.
    """
    opened = [
        open_method_data(
            folder,
            recipe.net.size_px,
            recipe.paper in _WITH_AUDIO,
            paths.cache,
            landmarks=recipe.paper in _WITH_LANDMARKS,
            progress=False,
            evaluation_only=True,
        )
        for folder in paths.data
        if _is_used(folder, scenario)
    ]
    stores = [data.images for data in opened]
    images = stores[0] if len(stores) == 1 else concat_stores(stores)
    images = transformed_images(images, scenario, paths.cache / "scenarios")
    return MethodData(scenario.train, scenario.validation, images, opened[0].tracks)


def _is_used(folder: Path, scenario: ScenarioData) -> bool:
    """Whether the first image of any video of the scenario lies in a folder."""
    root = f"{folder.resolve()}/"
    return any(
        table.path[int(row)].as_py().startswith(root)
        for table in (scenario.train, scenario.validation)
        for row in np.unique(table.video, return_index=True)[1]
    )


def run_steps(run: Run, recipe: MethodRecipe, table: FrameTable, scale: float) -> int:
    """Steps of the evaluated network, rounded to complete epochs if an epoch has phases."""
    steps = max(1, round(run.ablation.steps * scale))
    turn = recipe.sampling.turn if recipe.sampler == "alternate" else recipe.sampler
    if turn not in _BY_PHASE:
        return steps
    form = InputSpec.of(build_network(recipe.net), recipe.sampling.form)
    epoch_steps = build_sampler(recipe, table, form, run.seed).count(0)
    return max(1, round(steps / epoch_steps)) * epoch_steps


def train_and_evaluate(
    run: Run, paths: RunPaths, scale: float = 1.0, save_every: int = SAVE_EVERY
) -> Record:
    """Train or resume a run and evaluate it on the scenario's validation set."""
    torch.set_num_threads(1)
    recipe, trunk = run.recipe(), trunk_path(run, paths)
    if trunk is not None:
        recipe = replace(recipe, trunk_weights=str(trunk))
    scenario = scenario_data(run.ablation, run.seed, paths)
    if run.variant.fully_labeled_only:
        table = scenario.train
        is_complete = table.labeled("AU") & table.labeled("EXPR")
        scenario = replace(scenario, train=table.select(is_complete))
    data = method_data(recipe, scenario, paths)
    started_s = time.process_time()
    steps = run_steps(run, recipe, data.train, scale)
    folder = paths.run(run.name, scale)
    is_new = not folder.exists()
    config = TrainerConfig(folder, run.seed, steps=steps, save_every=save_every, resume=True)
    train = _train_single_tasks if run.variant.single_task else _train
    predictions, net = train(recipe, data, config, scenario.input_fps)
    record = scored_record(
        run.ablation,
        predictions,
        scenario,
        name=run.name,
        variant=run.variant.name,
        seed=run.seed,
        recipe={
            "options": [*run.ablation.options, *run.variant.options],
            "batch": recipe.batch,
            "preset": recipe.preset,
            "trunk": trunk_digest(run, paths),
        },
        steps=steps,
        scale=scale,
        parameters=parameter_count(net),
    )
    cpu_seconds = round(time.process_time() - started_s, 1)
    return replace(record, cpu_seconds=cpu_seconds if is_new else None)


def _train(
    recipe: MethodRecipe, data: MethodData, config: TrainerConfig, input_fps: float | None
) -> tuple[MethodPredictions, MethodNet]:
    """Predictions for all validation rows, and the network."""
    train = multi_stage_training_for(recipe) or train_method
    net = train(recipe, data, config)
    return method_predictions(net, recipe, data.validation, data, input_fps=input_fps), net


def _train_single_tasks(
    recipe: MethodRecipe, data: MethodData, config: TrainerConfig, input_fps: float | None
) -> tuple[MethodPredictions, MethodNet]:
    """Predictions of one network for each task, and the last network."""
    by_label: dict[str, Any] = dict.fromkeys(LABELS.values())
    for task in recipe_tasks(recipe):
        label = LABELS[task]
        predictions, net = _train(
            single_task_recipe(recipe, task),
            replace(data, train=single_task_table(data.train, task)),
            replace(config, folder=config.folder / label),
            input_fps,
        )
        by_label[label] = getattr(predictions, label)
    return MethodPredictions(predictions.known, **by_label), net


def scored_record(
    ablation: Ablation, predictions: MethodPredictions, scenario: ScenarioData, **fields: Any
) -> Record:
    """Record of predictions with their scores; `fields` are further fields of the record."""
    scores, score = evaluate_predictions(ablation, predictions, scenario)
    values = {
        "method": ablation.method,
        "tasks": tuple(task for task in ablation.tasks if task in scores),
        "details": scenario.details,
        **fields,
    }
    return Record(
        scenario=ablation.scenario, score=score, scores=scores, machine=machine_name(), **values
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
    name = f"{ablation.name}-majority"
    return scored_record(ablation, predictions, scenario, name=name, variant="majority", seed=1)
