"""M8: a teacher on the labels, a student on labels and the teacher's soft targets, then the same
with a GRU over frames.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from training.engine.ema import EmaModel
from training.engine.trainer import TrainerConfig
from training.methods.data import MethodData
from training.methods.objectives import distillation
from training.methods.recipe import MethodRecipe
from training.methods.train_method import train_method
from training.models.networks.multi_database import MultiDatabase
from training.models.stages import MethodNet

WINDOWS_BATCH_DIVISOR: Final = 4  # the batch of windows is this many times smaller


def train_teacher_and_student(
    recipe: MethodRecipe,
    data: MethodData,
    config: TrainerConfig,
) -> MethodNet:
    """Frames first (teacher, then student), then windows with everything but the GRUs frozen
    (teacher, then student).

    With targets other than `frozen_teacher` there is no student; without recurrence no stage of
    windows.
    """
    uses_student = recipe.targets == "frozen_teacher"
    stages = ["teacher_frames"]
    if uses_student:
        stages.append("student_frames")
    if recipe.net.recurrence != "none":
        stages.append("teacher_windows")
        if uses_student:
            stages.append("student_windows")
    frames = replace(recipe, net=replace(recipe.net, recurrence="none"))
    windows = replace(
        recipe,
        batch=max(2, recipe.batch // WINDOWS_BATCH_DIVISOR),
        # The set of frames with both labels is of the first stage alone.
        sampling=replace(recipe.sampling, joint=False, weights="none"),
    )
    nets: dict[str, MethodNet] = {}
    for stage in stages:
        role, form = stage.split("_")
        is_last = stage == stages[-1]
        stage_recipe = frames if form == "frames" else windows
        is_teacher = role == "teacher"
        net = train_method(
            replace(stage_recipe, targets="ignore") if is_teacher else stage_recipe,
            data,
            config if is_last else replace(config, folder=config.folder / stage),
            objective=None
            if is_teacher
            else distillation(stage_recipe, EmaModel(nets[f"teacher_{form}"], decay=1)),
            initial_weights=_tensors(nets[f"{role}_frames"]) if form == "windows" else None,
            prepare=_freeze_trunk if form == "windows" else None,
        )
        nets[stage] = net
    return net


def _freeze_trunk(net: MethodNet) -> None:
    assert isinstance(net, MultiDatabase)
    net.freeze_trunk()


def _tensors(net: MethodNet) -> dict[str, Tensor]:
    return {name: value for name, value in net.state_dict().items() if torch.is_tensor(value)}
