"""The settings of the trials: for each method one in which its distinctive part should matter.

A setting takes labels and pixels away from RenderWild; it never adds any. What it draws for
training depends on the seed; the validation set is always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from training.ablations.corrupted_images import COARSE_PX, COVERS, CROP_PX, hidden_units, row_random
from training.ablations.full_ground_truth import FullGroundTruth, join_truths
from training.ablations.neutral_face import neutral_face_outlierness
from training.datasets.frame_table import FrameTable
from training.synthesis.videos.plan import SIZES

FEW_PEOPLE: Final = 30
BOTH_SHARE: Final = 0.1
LABELED_SHARE: Final = 0.1
WRONG_SHARE: Final = 0.2
COVERED_SHARE: Final = 0.6
STRETCH_SHARE: Final = 0.4
CLEAR_STRENGTH: Final = 0.5
ODD_SHARE: Final = 1 / 3


class RenderedData(Protocol):
    """`people`: many short videos of few frames a second; `video`: full frame rate. They may be the
    same.
    """

    @property
    def people(self) -> FullGroundTruth: ...

    @property
    def video(self) -> FullGroundTruth: ...


@dataclass(frozen=True, slots=True, eq=False)
class SettingData:
    """Tables of a setting; `change` is done to all images (a key of CHANGES), with each row's
    amount and landmarks.
    """

    train: FrameTable
    validation: FrameTable
    landmarks_xy: NDArray[np.float32]  # [train + validation, 68, 2] sides of the crop
    change: str = ""
    amounts: NDArray[np.float32] | None = None  # [train + validation]
    hidden: NDArray[np.bool_] | None = None  # [validation, 12] units that something covers
    input_fps: float | None = (
        # at which networks with memory see the validation videos, where these have more frames
        None
    )
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """`make(data, seed)` with one line that says what it is."""

    sentence: str
    make: Callable[[RenderedData, int], SettingData]


def _assembled(train: FullGroundTruth, validation: FullGroundTruth, **more: Any) -> SettingData:
    points = np.concatenate([train.landmarks_xy, validation.landmarks_xy])
    facts = {
        "train_frames": len(train),
        "validation_frames": len(validation),
        "validation_people": len(set(validation.table.groups)),
        "labeled_train_frames": dict(
            zip(("AU", "EXPR", "VA"), train.table.masks.sum(axis=0).tolist(), strict=True)
        ),
        **more.pop("facts", {}),
    }
    return SettingData(train.table, validation.table, points, facts=facts, **more)


def _sides(truth: FullGroundTruth) -> tuple[FullGroundTruth, FullGroundTruth]:
    return truth.select(truth.is_train), truth.select(~truth.is_train)


def masked(
    truth: FullGroundTruth,
    au: NDArray[np.bool_] | None = None,
    expression: NDArray[np.bool_] | None = None,
    va: NDArray[np.bool_] | None = None,
) -> FullGroundTruth:
    """Labels stay where [N] is true; None leaves a task as it is."""
    table = truth.table
    if au is not None:
        table = replace(table, au_mask=table.au_mask & au[:, None])
    if expression is not None:
        table = replace(table, expression_mask=table.expression_mask & expression)
    if va is not None:
        table = replace(table, va_mask=table.va_mask & va)
    zeroed = replace(
        table,
        au=np.where(table.au_mask, table.au, 0).astype(np.float32),
        expression=np.where(table.expression_mask, table.expression, 0).astype(np.int8),
        va=np.where(table.va_mask[:, None], table.va, 0).astype(np.float32),
    )
    return replace(truth, table=zeroed)


def few_identities(data: RenderedData, seed: int) -> SettingData:
    """M1. All others of the training side stay as images of known people without labels."""
    train, validation = _sides(data.people)
    names = sorted(set(train.table.groups))
    count = min(FEW_PEOPLE, max(1, len(names) // 2))
    chosen = set(np.random.default_rng([seed, 1]).permutation(names)[:count].tolist())
    of_chosen = np.array([group in chosen for group in train.table.groups])[train.table.video]
    train = masked(train, of_chosen, of_chosen, of_chosen)
    return _assembled(train, validation, facts={"labeled_people": count, "people": len(names)})


def noisy_images(data: RenderedData, seed: int) -> SettingData:
    """M2. Images of both sides are dim, coarse and noisy; videos whose voice does not fit the face
    are left out.
    """
    train, validation = _sides(data.people.select(~data.people.is_mismatched))
    amounts = np.ones(len(train) + len(validation), np.float32)
    return _assembled(train, validation, change="noisy", amounts=amounts)


def one_label_each(data: RenderedData, seed: int) -> SettingData:
    """M3. A frame is labeled for AUs or for expression; a tenth for both."""
    train, validation = _sides(data.people)
    train = train.select(train.table.expression_mask)
    kind = np.random.default_rng([seed, 3]).random(len(train))
    both, half = kind < BOTH_SHARE, BOTH_SHARE + (1 - BOTH_SHARE) / 2
    train = masked(train, both | (kind >= half), both | (kind < half), np.zeros(len(train), bool))
    return _assembled(train, validation, facts={"doubly_labeled": int(both.sum())})


def together_and_hidden(data: RenderedData, seed: int) -> SettingData:
    """M4. Frames of clear expressions, whose units come together; in six of ten a part of the face
    is covered.
    """
    clear = data.people.select(data.people.strength.max(axis=1) >= CLEAR_STRENGTH)
    train, validation = _sides(clear)
    covers = _covers([*train.table.path.to_pylist(), *validation.table.path.to_pylist()])
    hidden = hidden_units(covers[len(train) :])
    facts = {
        "covered_share": float((covers > 0).mean()),
        "mean_largest_correlation": _together(train.table.au),
    }
    return _assembled(
        train, validation, change="covered", amounts=covers, hidden=hidden, facts=facts
    )


def _covers(paths: list[str]) -> NDArray[np.float32]:
    found = []
    for path in paths:
        random = row_random(path, 4)
        found.append(random.integers(1, len(COVERS) + 1) if random.random() < COVERED_SHARE else 0)
    return np.array(found, np.float32)


def _together(au: NDArray[np.float32]) -> float:
    """Mean over units of the largest correlation with another one."""
    used = au[:, au.std(axis=0) > 0]
    correlation = np.corrcoef(used.T)
    np.fill_diagonal(correlation, -1)
    return float(correlation.max(axis=1).mean())


def tenth_of_labels(data: RenderedData, seed: int) -> SettingData:
    """M5. A tenth of the videos is labeled for each task, drawn anew for each; images and audio of
    all are there.
    """
    train, validation = _sides(data.people)
    random, videos = np.random.default_rng([seed, 5]), len(train.table.videos)
    kept = max(2, round(LABELED_SHARE * videos))
    known = [np.isin(train.table.video, random.permutation(videos)[:kept]) for _ in range(3)]
    return _assembled(
        masked(train, *known), validation, facts={"labeled_videos": kept, "videos": videos}
    )


def wrong_labels(data: RenderedData, seed: int) -> SettingData:
    """M5. A fifth of the training frames carry the labels of another frame."""
    train, validation = _sides(data.people)
    random, table = np.random.default_rng([seed, 6]), train.table
    wrong = random.random(len(train)) < WRONG_SHARE
    source = np.arange(len(train))
    source[wrong] = random.permutation(len(train))[: int(wrong.sum())]
    names = ("au", "au_mask", "expression", "expression_mask", "va", "va_mask")
    columns: dict[str, Any] = {name: getattr(table, name)[source] for name in names}
    train = replace(train, table=replace(table, **columns))
    return _assembled(
        train,
        validation,
        facts={"wrongly_labeled_frames": int((source != np.arange(len(train))).sum())},
    )


def mixed_resolutions(data: RenderedData, seed: int) -> SettingData:
    """M6. Crops of 12 to 96 px on both sides; training frames have the labels that their annotation
    files give.
    """
    train, validation = _sides(data.people)
    train = replace(train, table=train.official)
    paths = [*train.table.path.to_pylist(), *validation.table.path.to_pylist()]
    low, high = np.log(COARSE_PX)
    sides = np.array([np.exp(row_random(path, 6).uniform(low, high)) for path in paths])
    return _assembled(
        train, validation, change="coarse", amounts=(sides / CROP_PX).astype(np.float32)
    )


def resting_faces(data: RenderedData, seed: int) -> SettingData:
    """M7. Validation people are the third whose brows or mouth lie oddest at rest, told by
    landmarks of calm frames.
    """
    train, validation = _sides(data.people)
    odd = neutral_face_outlierness(data.people)
    scores = np.array([odd[video] for video in validation.table.videos])
    kept = max(1, round(ODD_SHARE * len(scores)))
    chosen = np.argsort(-scores, kind="stable")[:kept]
    facts = {
        "least_oddness": float(scores[chosen].min()),
        "mean_oddness_of_all": float(scores.mean()),
    }
    return _assembled(
        train, validation.select(np.isin(validation.table.video, chosen)), facts=facts
    )


def hidden_stretches(data: RenderedData, seed: int) -> SettingData:
    """M7. In every video one part of the face is covered for two fifths of the time, in one
    stretch.
    """
    train, validation = _sides(data.people)
    covers = np.concatenate([_stretches(train.table), _stretches(validation.table)])
    hidden = hidden_units(covers[len(train) :])
    facts = {"covered_share": float((covers > 0).mean())}
    return _assembled(
        train, validation, change="covered", amounts=covers, hidden=hidden, facts=facts
    )


def _stretches(table: FrameTable) -> NDArray[np.float32]:
    covers = np.zeros(len(table), np.float32)
    for k, video in enumerate(table.videos):
        rows = np.flatnonzero(table.video == k)
        random = row_random(video, 7)
        length = round(STRETCH_SHARE * len(rows))
        start = int(random.integers(0, len(rows) - length + 1))
        covers[rows[start : start + length]] = random.integers(1, len(COVERS) + 1)
    return covers


def three_sources(data: RenderedData, seed: int) -> SettingData:
    """M8. Videos of one source are labeled for expression, of one for valence and arousal, a tenth
    of all for both.
    """
    train, validation = _sides(data.people)
    videos = len(train.table.videos)
    place = np.random.default_rng([seed, 8]).permutation(videos) / videos
    both, half = place < BOTH_SHARE, BOTH_SHARE + (1 - BOTH_SHARE) / 2
    of_video = train.table.video
    nothing = np.zeros(len(train), bool)
    train = masked(
        train, nothing, (both | (place < half))[of_video], (both | (place >= half))[of_video]
    )
    counts = {
        "both": int(both.sum()),
        "EXPR": int(((place < half) & ~both).sum()),
        "VA": int((place >= half).sum()),
    }
    return _assembled(train, validation, facts={"videos": counts})


def as_annotated(data: RenderedData, seed: int) -> SettingData:
    """Everything as the annotation files have it, of both RenderWilds; validation is that of the
    full frame rate.

    A network with memory that has learned from few frames a second alone sees as few there.
    """
    train, validation = _sides(data.video)
    input_fps = (
        None
        if len(train) or data.people.size not in SIZES
        else float(max(SIZES[data.people.size].fps))
    )
    if data.people is not data.video:
        train = join_truths([data.people.select(data.people.is_train), train])
    train, validation = (replace(side, table=side.official) for side in (train, validation))
    return _assembled(train, validation, input_fps=input_fps, facts={"input_fps": input_fps})


SETTINGS: Final[dict[str, Setting]] = {
    make.__name__: Setting(" ".join((make.__doc__ or "").split()), make)
    for make in (
        few_identities, noisy_images, one_label_each, together_and_hidden, tenth_of_labels, wrong_labels,
        mixed_resolutions, resting_faces, hidden_stretches, three_sources, as_annotated,
    )
}  # fmt: skip
"""By name."""
