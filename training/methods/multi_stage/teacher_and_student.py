"""M8: a teacher on the labels, a student on labels and the teacher's soft targets, then the same
with a GRU over frames.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from training.methods.data import MethodData
from training.methods.ema_teacher import Teacher
from training.methods.objectives import distilled
from training.methods.recipe import Recipe
from training.methods.train_method import train_method
from training.models.networks.multi_database import MultiDatabase
from training.models.stages import MethodNet

SEQUENCE_SHARE: Final = 4  # the batch of windows is this many times smaller than that of frames


def train_teacher_and_student(
    recipe: Recipe, data: MethodData, folder: Path, *, steps: int | None = None, **options: Any
) -> MethodNet:
    """Frames first (teacher, then student), then windows with everything but the GRUs frozen
    (teacher, then student).

    With targets other than `frozen_teacher` there is no student; without recurrence no stage of
    windows. The last stage there is lies in `folder` itself.
    """
    has_student, has_windows = recipe.targets == "frozen_teacher", recipe.net.recurrence != "none"
    frames = replace(recipe, net=replace(recipe.net, recurrence="none"))
    windows = replace(recipe, batch=max(2, recipe.batch // SEQUENCE_SHARE))

    def place(name: str, is_last: bool) -> Path:
        return folder if is_last else folder / name

    before = {**options, "after_epoch": None}  # only the network that counts is judged on the way

    def frozen(net: MethodNet) -> None:
        assert isinstance(net, MultiDatabase)
        net.freeze_trunk()

    labels = replace(frames, targets="ignore")
    is_last = not has_student and not has_windows
    teacher = train_method(
        labels,
        data,
        place("teacher_frames", is_last),
        steps=steps,
        **(options if is_last else before),
    )
    net = teacher
    if has_student:
        objective = distilled(frames, Teacher(teacher, decay=1))
        where = place("student_frames", not has_windows)
        net = train_method(
            frames,
            data,
            where,
            steps=steps,
            objective=objective,
            **(before if has_windows else options),
        )
    if not has_windows:
        return net
    labels = replace(windows, targets="ignore")
    where = place("teacher_windows", not has_student)
    start = teacher.state_dict()
    own = before if has_student else options
    teacher = train_method(labels, data, where, steps=steps, start=start, prepare=frozen, **own)
    if not has_student:
        return teacher
    objective = distilled(windows, Teacher(teacher, decay=1))
    start = {name: value for name, value in net.state_dict().items() if torch.is_tensor(value)}
    return train_method(
        windows,
        data,
        folder,
        steps=steps,
        start=start,
        prepare=frozen,
        objective=objective,
        **options,
    )
