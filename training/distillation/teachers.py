"""Trained methods and bundles as teachers of the default model: their soft targets beside, or in
place of, its labels.

A loss that is linear in its target (cross-entropy of AUs and expressions) against a label and
against a teacher, weighted and added, is the loss against the weighted mean of the two; so the
teachers' word is written into the tables, and the default model's own loop trains on them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
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
from training.datasets.readers import load_cached
from training.datasets.renderwild import Origin
from training.datasets.progress_bar import track_progress
from training.datasets.synthetic_images import SYNTHETIC_IMAGES
from training.evaluation.network_runner import table_crops
from training.methods.load_run import read_method_run
from training.methods.predict import method_predictions
from training.methods.predict_stills import predict_stills
from training.methods.recipe import Recipe
from training.methods.train_run import open_recipe_data
from training.methods.trainer import WEIGHTS_FILE
from training.models.stages import MethodNet

RECORD_FILE: Final = "distil.json"
_TASKS: Final = ("au", "expression", "va")
_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class DistilOptions:
    """`share` of the teachers where there is a label (M8's 0.4); `weight` of a target that is
    theirs alone; `rendered`, whether they speak of rendered faces too, whose truth is known.
    """

    share: float = 0.4
    weight: float = 0.5
    rendered: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.weight < 0:
            raise ValueError(
                f"share must lie in 0 to 1 and weight not below 0, got {self.share} and {self.weight}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class TeacherOutputs:
    """What a teacher, or the mean of several, says of N faces; rows of NaN are those it says
    nothing of.
    """

    au: NDArray[np.float32]  # [N, 12] probabilities
    expression: NDArray[np.float32]  # [N, 7] probabilities
    va: NDArray[np.float32]  # [N, 2]

    @classmethod
    def nothing(cls, count: int) -> TeacherOutputs:
        return cls(*(np.full((count, width), np.nan, np.float32) for width in (12, 7, 2)))


class Teacher(Protocol):
    """Something trained; `digest` is the SHA-256 of its weights, `facts` say what it is."""

    @property
    def digest(self) -> str: ...

    @property
    def facts(self) -> dict[str, str]: ...

    def stills(self, table: FaceTable) -> TeacherOutputs: ...

    def frames(self, table: FaceTable, wild: Path, origins: list[Origin]) -> TeacherOutputs:
        """Frames of RenderWild's videos."""
        ...


class MethodTeacher:
    """A trained method: frames are read as videos, with audio where it has it, so that memory
    helps; a still is a face's first frame.
    """

    def __init__(self, run: Path, cache: Path | None = None) -> None:
        self._recipe, self._net = read_method_run(run)
        self._cache = cache
        self.digest = hashlib.sha256((run / WEIGHTS_FILE).read_bytes()).hexdigest()
        self.facts = {"paper": self._recipe.paper, "preset": self._recipe.preset}

    def stills(self, table: FaceTable) -> TeacherOutputs:
        return predict_images(self._recipe, self._net, table)

    def frames(self, table: FaceTable, wild: Path, origins: list[Origin]) -> TeacherOutputs:
        return predict_videos(self._recipe, self._net, wild, origins, self._cache)


class BundleTeacher:
    """A default model's bundle: the mean of what it says of each image and of its mirror image."""

    def __init__(self, folder: Path) -> None:
        bundle = open_bundle(folder)
        self._graph, self._size_px = bundle.graph, bundle.spec.crop.size_px
        self._session = open_session(bundle.onnx, torch.get_num_threads(), folder)
        self.digest, self.facts = bundle.spec.files[MODEL_FILE], {"bundle": bundle.spec.name}

    def stills(self, table: FaceTable) -> TeacherOutputs:
        said = TeacherOutputs.nothing(len(table))
        names = ["au_nodes", "expression_logit", "va_raw"]
        for at in track_progress(
            range(0, len(table), _AT_ONCE), f"{self.facts['bundle']} looks at {table.name}"
        ):
            rows = np.arange(at, min(at + _AT_ONCE, len(table)))
            crops = table_crops(table.select(rows), self._size_px)
            both = torch.cat([crops, crops.flip(3)]).contiguous().numpy()
            nodes, expression, va = self._session.run(names, {"crops": both})
            read = sigmoid(au_gcn(nodes, self._graph)), softmax(expression), np.tanh(va)
            for task, values in zip(_TASKS, read, strict=True):
                getattr(said, task)[rows] = values.reshape(2, len(rows), -1).mean(axis=0)
        return said

    def frames(self, table: FaceTable, wild: Path, origins: list[Origin]) -> TeacherOutputs:
        return self.stills(table)


def open_teacher(folder: Path, cache: Path | None = None) -> Teacher:
    """The teacher in a folder: a bundle, where there is a spec, else a trained method."""
    return BundleTeacher(folder) if (folder / SPEC_FILE).is_file() else MethodTeacher(folder, cache)


class Teachers:
    """Several teachers, each asked for what it reads; the mean of their probabilities counts.

    Answers are kept in `folder` and found once.
    """

    def __init__(
        self,
        places: Sequence[Path],
        folder: Path,
        options: DistilOptions,
        cache: Path | None = None,
    ) -> None:
        if not places:
            raise ValueError(
                "distillation needs at least one teacher: the folder of a trained method or of a bundle"
            )
        self._teachers = [open_teacher(place, cache) for place in places]
        self._folder, self._options = folder, options

    def record(self) -> dict[str, Any]:
        """What a distillation is made of, by content."""
        teachers = [teacher.facts | {"weights": teacher.digest} for teacher in self._teachers]
        return {"teachers": teachers, **asdict(self._options)}

    def check(self) -> None:
        """Write down the teachers; ValueError where the folder's run has others."""
        path = self._folder / RECORD_FILE
        own = self.record()
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != own:
            raise ValueError(
                f"{path} names other teachers or weights than these; choose another --out"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(own, indent=1) + "\n", encoding="utf-8")

    def stills(self, table: FaceTable) -> FaceTable:
        """The table's targets after the teachers' word."""
        if table.name == SYNTHETIC_IMAGES and not self._options.rendered:
            return table
        each = [
            self._kept(teacher, table, lambda teacher=teacher: teacher.stills(table))
            for teacher in self._teachers
        ]
        return with_teacher_targets(table, mean_of(each), self._options)

    def frames(self, table: FaceTable, wild: Path, origins: list[Origin]) -> FaceTable:
        """The same for frames of RenderWild's videos."""
        if not self._options.rendered:
            return table
        each = [
            self._kept(teacher, table, lambda teacher=teacher: teacher.frames(table, wild, origins))
            for teacher in self._teachers
        ]
        return with_teacher_targets(table, mean_of(each), self._options)

    def _kept(
        self, teacher: Teacher, table: FaceTable, ask: Callable[[], TeacherOutputs]
    ) -> TeacherOutputs:
        """An answer out of the folder, or asked for and put there."""
        content = hashlib.sha256(
            f"{teacher.digest}|{table.name}|{len(table)}".encode() + table.landmarks_xy.tobytes()
        )
        path = (
            self._folder
            / "teachers"
            / f"{table.name.replace(' ', '_')}-{content.hexdigest()[:16]}.npz"
        )
        if not path.is_file():
            said = ask()
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            with partial.open("wb") as out:
                np.savez(out, **{task: getattr(said, task) for task in _TASKS})
            partial.replace(path)
        with np.load(path, allow_pickle=False) as kept:
            return TeacherOutputs(*(kept[task] for task in _TASKS))


def predict_images(recipe: Recipe, net: MethodNet, table: FaceTable) -> TeacherOutputs:
    """A method's read-outs of aligned still faces."""
    said = TeacherOutputs.nothing(len(table))
    for at in track_progress(range(0, len(table), _AT_ONCE), f"{recipe.paper} looks at {table.name}"):
        rows = np.arange(at, min(at + _AT_ONCE, len(table)))
        outputs = predict_stills(recipe, net, table.select(rows))
        if "au_logit" in outputs:
            said.au[rows] = torch.sigmoid(outputs["au_logit"]).numpy()
        if "expression_logit" in outputs:
            said.expression[rows] = outputs["expression_logit"].softmax(dim=1).numpy()
        if "va" in outputs:
            said.va[rows] = outputs["va"].clamp(-1, 1).numpy()
    return said


def predict_videos(
    recipe: Recipe, net: MethodNet, wild: Path, origins: list[Origin], cache: Path | None
) -> TeacherOutputs:
    """A method's read-outs of frames of RenderWild, read as videos out of their crops; nothing
    where a crop is missing.
    """
    data = open_recipe_data(recipe, wild, cache)
    options = {} if cache is None else {"cache": cache}
    table = load_cached("affwild2", wild, timing=data.tracks is not None, **options)
    wanted = {name: k for k, name in enumerate(table.videos)}
    asked = table.select(
        np.isin(table.video, [wanted[name] for name, _ in origins if name in wanted])
    )
    predictions = method_predictions(net, recipe, asked, data)
    place = {
        (asked.videos[video], int(frame)): row
        for row, (video, frame) in enumerate(
            zip(asked.video.tolist(), asked.frame.tolist(), strict=True)
        )
        if predictions.known[row]
    }
    said = TeacherOutputs.nothing(len(origins))
    found = [(row, place[origin]) for row, origin in enumerate(origins) if origin in place]
    if found:
        rows, places = np.array(found).T
        for task in _TASKS:
            value = getattr(predictions, task)
            if value is not None:
                getattr(said, task)[rows] = value[places]
    return said


def mean_of(each: Sequence[TeacherOutputs]) -> TeacherOutputs:
    """The mean of several teachers, of those that say something, face by face and task by task."""
    parts = []
    for task in _TASKS:
        values = np.stack([getattr(said, task) for said in each])
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(axis=0)
        parts.append(
            np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan).astype(
                np.float32
            )
        )
    return TeacherOutputs(*parts)


def with_teacher_targets(
    table: FaceTable, said: TeacherOutputs, options: DistilOptions
) -> FaceTable:
    """The table with targets (1 - share) label + share teacher where a face has a label, the
    teacher's elsewhere.

    Weights of labeled targets stay; those of the teachers' alone are `weight`. What holds no
    face is left as it is.
    """
    changed: dict[str, NDArray[np.float32]] = {}
    for task in _TASKS:
        own, weight, value = (
            getattr(table, task),
            getattr(table, f"{task}_weight"),
            getattr(said, task),
        )
        is_face = (table.face > 0)[:, None]
        known = np.isfinite(value) & is_face
        wide = weight if weight.ndim == 2 else np.repeat(weight[:, None], own.shape[1], axis=1)
        share = np.where(known, np.where(wide > 0, options.share, 1.0), 0.0)
        changed[task] = (own * (1 - share) + np.where(known, value, 0) * share).astype(np.float32)
        answered = known if weight.ndim == 2 else known.all(axis=1)
        changed[f"{task}_weight"] = np.where(
            answered & (weight == 0), options.weight, weight
        ).astype(np.float32)
    return replace(table, **changed)
