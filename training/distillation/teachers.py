"""Trained methods and bundles as teachers of the default model.

Their soft targets are blended with its labels or replace them.

For a loss that is linear in its target (cross-entropy of AUs and expressions) the weighted sum of
the losses against label and teacher is the loss against the weighted mean of the two. So the
teachers' predictions are mixed into the targets of the tables that the trainer reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.bundle import MODEL_FILE, open_bundle
from faceaffect.bundle.model_spec import SPEC_FILE
from faceaffect.kernels import au_gcn
from faceaffect.kernels.activations import sigmoid, softmax
from training.datasets.face_table import FaceTable
from training.datasets.progress_bar import track_progress
from training.datasets.readers import load_cached
from training.datasets.renderwild import Origin
from training.datasets.synthetic_images import SYNTHETIC_IMAGES
from training.datasets.table_cache import DEFAULT_CACHE
from training.engine.checkpoint import WEIGHTS_FILE, write_arrays, write_json
from training.evaluation.network_runner import table_crops
from training.methods.load_run import read_method_run
from training.methods.predict import method_predictions
from training.methods.predict_stills import predict_stills
from training.methods.recipe import MethodRecipe
from training.methods.train_run import open_recipe_data
from training.models.stages import MethodNet

RECORD_FILE: Final = "distill.json"
_TASKS: Final = ("au", "expression", "va")
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class DistillationConfig:
    """Weights of the teachers' targets.

    teacher_weight: of the teachers beside a label (M8: 0.4).
    unlabeled_weight: loss weight of a target that is the teachers' alone.
    synthetic: whether they replace the targets of synthetic faces, whose truth is known, too.
    """

    teacher_weight: float = 0.4
    unlabeled_weight: float = 0.5
    synthetic: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.teacher_weight <= 1 or self.unlabeled_weight < 0:
            raise ValueError(
                "teacher_weight must be in 0 to 1 and unlabeled_weight at least 0, got "
                f"{self.teacher_weight} and {self.unlabeled_weight}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class TeacherOutputs:
    """Predictions of a teacher, or the mean of several, for N faces; NaN where there is none."""

    au: NDArray[np.float32]  # [N, 12] probabilities
    expression: NDArray[np.float32]  # [N, 7] probabilities
    va: NDArray[np.float32]  # [N, 2]

    @classmethod
    def empty(cls, count: int) -> TeacherOutputs:
        return cls(*(np.full((count, width), np.nan, np.float32) for width in (12, 7, 2)))


def _batches(table: FaceTable, model: str) -> Iterator[tuple[NDArray[np.int64], FaceTable]]:
    """Row numbers and rows of each batch, with a progress bar that names the model."""
    for start in track_progress(range(0, len(table), _BATCH), f"{model} predicts {table.name}"):
        rows = np.arange(start, min(start + _BATCH, len(table)))
        yield rows, table.select(rows)


class Teacher(Protocol):
    """A trained model; `sha256` is of its weights, `description` goes into the record."""

    @property
    def sha256(self) -> str: ...

    @property
    def description(self) -> dict[str, str]: ...

    def predict_images(self, table: FaceTable) -> TeacherOutputs: ...

    def predict_frames(
        self, table: FaceTable, folder: Path, origins: list[Origin]
    ) -> TeacherOutputs:
        """Predictions for frames of the RenderWild videos in `folder`."""
        ...


class MethodTeacher:
    """Trained method that runs over complete videos, with audio if the method uses it.

    A still image is the first frame of a track.
    """

    def __init__(self, run: Path, cache: Path | None = None) -> None:
        self._recipe, self._net = read_method_run(run)
        self._cache = cache
        self.sha256 = hashlib.sha256((run / WEIGHTS_FILE).read_bytes()).hexdigest()
        self.description = {"paper": self._recipe.paper, "preset": self._recipe.preset}

    def predict_images(self, table: FaceTable) -> TeacherOutputs:
        return predict_images(self._recipe, self._net, table)

    def predict_frames(
        self, table: FaceTable, folder: Path, origins: list[Origin]
    ) -> TeacherOutputs:
        return predict_videos(self._recipe, self._net, folder, origins, self._cache)


class BundleTeacher:
    """A bundle of the default model: the mean of its predictions for each image and the mirrored
    image.
    """

    def __init__(self, folder: Path) -> None:
        bundle = open_bundle(folder)
        self._graph, self._size_px = bundle.graph, bundle.spec.crop.size_px
        self._session = open_session(bundle.onnx, torch.get_num_threads(), folder)
        self.sha256 = bundle.spec.files[MODEL_FILE]
        self.description = {"bundle": bundle.spec.name}

    def predict_images(self, table: FaceTable) -> TeacherOutputs:
        outputs = TeacherOutputs.empty(len(table))
        names = ["au_nodes", "expression_logit", "va_raw"]
        for rows, batch in _batches(table, self.description["bundle"]):
            crops = table_crops(batch, self._size_px)
            both = torch.cat([crops, crops.flip(3)]).contiguous().numpy()
            nodes, expression, va = self._session.run(names, {"crops": both})
            predictions = (sigmoid(au_gcn(nodes, self._graph)), softmax(expression), np.tanh(va))
            for task, values in zip(_TASKS, predictions, strict=True):
                mean = values.reshape(2, len(rows), -1).mean(axis=0)
                getattr(outputs, task)[rows] = mean
        return outputs

    def predict_frames(
        self, table: FaceTable, folder: Path, origins: list[Origin]
    ) -> TeacherOutputs:
        return self.predict_images(table)


def open_teacher(folder: Path, cache: Path | None = None) -> Teacher:
    """The teacher in a folder: a bundle if it has a spec, else a trained method."""
    return BundleTeacher(folder) if (folder / SPEC_FILE).is_file() else MethodTeacher(folder, cache)


class TeacherEnsemble:
    """Target provider of the default model: the mean of several teachers' predictions.

    Predictions are computed once and kept in `folder`.
    """

    def __init__(
        self,
        teachers: Sequence[Path],
        folder: Path,
        config: DistillationConfig,
        cache: Path | None = None,
    ) -> None:
        if not teachers:
            raise ValueError(
                "expected at least one teacher, the folder of a trained method or of a bundle; "
                "got none"
            )
        self._teachers = [open_teacher(teacher, cache) for teacher in teachers]
        self._folder, self._config = folder, config

    def record(self) -> dict[str, Any]:
        """Teachers with the SHA-256 of their weights, and the configuration."""
        teachers = [teacher.description | {"weights": teacher.sha256} for teacher in self._teachers]
        return {"teachers": teachers, **asdict(self._config)}

    def write_record(self) -> None:
        """Write the record; ValueError if the folder's run has another one."""
        path = self._folder / RECORD_FILE
        record = self.record()
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != record:
            raise ValueError(
                f"{path} names other teachers or weights than these; choose another --out"
            )
        write_json(path, record)

    def images(self, table: FaceTable) -> FaceTable:
        """The table with the teachers' targets."""
        if table.name == SYNTHETIC_IMAGES and not self._config.synthetic:
            return table
        return self._with_targets(table, lambda teacher: teacher.predict_images(table))

    def frames(self, table: FaceTable, folder: Path, origins: list[Origin]) -> FaceTable:
        """The table of frames of the RenderWild videos in `folder` with the teachers' targets."""
        if not self._config.synthetic:
            return table
        return self._with_targets(
            table, lambda teacher: teacher.predict_frames(table, folder, origins)
        )

    def _with_targets(
        self, table: FaceTable, predict: Callable[[Teacher], TeacherOutputs]
    ) -> FaceTable:
        outputs = [self._cached(teacher, table, predict) for teacher in self._teachers]
        return with_teacher_targets(table, mean_outputs(outputs), self._config)

    def _cached(
        self, teacher: Teacher, table: FaceTable, predict: Callable[[Teacher], TeacherOutputs]
    ) -> TeacherOutputs:
        """Predictions from the folder, computed and written if they are missing."""
        content = hashlib.sha256(
            f"{teacher.sha256}|{table.name}|{len(table)}".encode() + table.landmarks_xy.tobytes()
        )
        name = f"{table.name.replace(' ', '_')}-{content.hexdigest()[:16]}.npz"
        path = self._folder / "teachers" / name
        if not path.is_file():
            outputs = predict(teacher)
            write_arrays(path, {task: getattr(outputs, task) for task in _TASKS})
        with np.load(path, allow_pickle=False) as file:
            return TeacherOutputs(*(file[task] for task in _TASKS))


def predict_images(recipe: MethodRecipe, net: MethodNet, table: FaceTable) -> TeacherOutputs:
    """A method's predictions for aligned still faces."""
    predictions = TeacherOutputs.empty(len(table))
    for rows, batch in _batches(table, recipe.paper):
        outputs = predict_stills(recipe, net, batch)
        if "au_logit" in outputs:
            predictions.au[rows] = torch.sigmoid(outputs["au_logit"]).numpy()
        if "expression_logit" in outputs:
            predictions.expression[rows] = outputs["expression_logit"].softmax(dim=1).numpy()
        if "va" in outputs:
            predictions.va[rows] = outputs["va"].clamp(-1, 1).numpy()
    return predictions


def predict_videos(
    recipe: MethodRecipe, net: MethodNet, folder: Path, origins: list[Origin], cache: Path | None
) -> TeacherOutputs:
    """Predictions of a method for frames of the RenderWild dataset in `folder`; NaN without a crop.

    The method runs over the crops of complete videos.
    """
    data = open_recipe_data(recipe, folder, cache)
    table = load_cached(
        "affwild2", folder, cache=cache or DEFAULT_CACHE, timing=data.tracks is not None
    )
    video_index = {name: k for k, name in enumerate(table.videos)}
    videos = [video_index[name] for name, _ in origins if name in video_index]
    table = table.select(np.isin(table.video, videos))
    predictions = method_predictions(net, recipe, table, data)
    row_of = {
        (table.videos[table.video[row]], int(table.frame[row])): row
        for row in np.flatnonzero(predictions.known)
    }
    outputs = TeacherOutputs.empty(len(origins))
    pairs = [(k, row_of[origin]) for k, origin in enumerate(origins) if origin in row_of]
    if pairs:
        targets, rows = np.array(pairs).T
        for task in _TASKS:
            value = getattr(predictions, task)
            if value is not None:
                getattr(outputs, task)[targets] = value[rows]
    return outputs


def mean_outputs(outputs: Sequence[TeacherOutputs]) -> TeacherOutputs:
    """Mean over the teachers that have a prediction, face by face and task by task."""
    means = []
    for task in _TASKS:
        values = np.stack([getattr(each, task) for each in outputs])
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(axis=0)
        mean = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
        means.append(mean.astype(np.float32))
    return TeacherOutputs(*means)


def with_teacher_targets(
    table: FaceTable, outputs: TeacherOutputs, config: DistillationConfig
) -> FaceTable:
    """Replace targets by (1 - w) label + w teacher, or by the teacher's for unlabeled faces.

    w is `teacher_weight`.

    Loss weights of labeled targets are unchanged; those of the teachers' alone are
    `unlabeled_weight`. Rows without a face are unchanged.
    """
    changed: dict[str, Any] = {}
    for task in _TASKS:
        label, weight = getattr(table, task), getattr(table, f"{task}_weight")
        target = getattr(outputs, task)
        known = np.isfinite(target) & (table.face > 0)[:, None]
        wide = weight if weight.ndim == 2 else np.repeat(weight[:, None], label.shape[1], axis=1)
        alpha = np.where(known, np.where(wide > 0, config.teacher_weight, 1.0), 0.0)
        mixed = label * (1 - alpha) + np.where(known, target, 0) * alpha
        changed[task] = mixed.astype(np.float32)
        has_target = known if weight.ndim == 2 else known.all(axis=1)
        changed[f"{task}_weight"] = np.where(
            has_target & (weight == 0), config.unlabeled_weight, weight
        ).astype(np.float32)
    return replace(table, **changed)
