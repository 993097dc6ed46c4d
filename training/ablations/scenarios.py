"""Scenarios of the ablations: for each method one in which its distinctive component should matter.

A scenario removes labels or corrupts images of RenderWild; it never adds labels. Its random draws
for training depend on the seed; the validation set is always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from training.ablations.corrupted_images import (
    CROP_PX,
    FACE_PARTS,
    LOW_RESOLUTION_PX,
    crop_rng,
    find_occluded_aus,
)
from training.ablations.full_ground_truth import FullGroundTruth, concat_ground_truth
from training.ablations.neutral_face import neutral_face_outlierness
from training.datasets.frame_table import FrameTable
from training.synthesis.videos.plan import SIZES

MAX_LABELED_IDENTITIES: Final = 30
FULLY_LABELED_FRACTION: Final = 0.1
LABELED_FRACTION: Final = 0.1
LABEL_NOISE_FRACTION: Final = 0.2
OCCLUDED_FRACTION: Final = 0.6
OCCLUDED_SEGMENT_FRACTION: Final = 0.4
MIN_EXPRESSION_STRENGTH: Final = 0.5
ATYPICAL_FRACTION: Final = 1 / 3


class RenderWildData(Protocol):
    """`low_fps`: many short videos of few frames a second; `full_fps`: videos of the full frame
    rate. They may be the same.
    """

    @property
    def low_fps(self) -> FullGroundTruth: ...

    @property
    def full_fps(self) -> FullGroundTruth: ...


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioData:
    """Tables of a scenario, and the corruption of its images (a key of `CORRUPTIONS`), with the
    corruption's parameter and the landmarks of each row.
    """

    train: FrameTable
    validation: FrameTable
    landmarks_xy: NDArray[np.float32]  # [train + validation, 68, 2] in crop sides
    corruption: str = ""
    parameters: NDArray[np.float32] | None = None  # [train + validation]
    occluded_aus: NDArray[np.bool_] | None = None  # [validation, 12]
    # Frame rate to which validation videos are subsampled for networks with memory; None: all.
    input_fps: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`build(data, seed)` with a one-line description."""

    description: str
    build: Callable[[RenderWildData, int], ScenarioData]


def _build_data(train: FullGroundTruth, validation: FullGroundTruth, **fields: Any) -> ScenarioData:
    landmarks = np.concatenate([train.landmarks_xy, validation.landmarks_xy])
    details = {
        "train_frames": len(train),
        "validation_frames": len(validation),
        "validation_identities": len(set(validation.table.groups)),
        "labeled_train_frames": dict(
            zip(("AU", "EXPR", "VA"), train.table.masks.sum(axis=0).tolist(), strict=True)
        ),
        **fields.pop("details", {}),
    }
    return ScenarioData(train.table, validation.table, landmarks, details=details, **fields)


def _split(truth: FullGroundTruth) -> tuple[FullGroundTruth, FullGroundTruth]:
    return truth.select(truth.is_train), truth.select(~truth.is_train)


def mask_labels(
    truth: FullGroundTruth,
    au: NDArray[np.bool_],
    expression: NDArray[np.bool_],
    va: NDArray[np.bool_],
) -> FullGroundTruth:
    """Keep labels of a task only where its mask [N] is true."""
    return replace(truth, table=truth.table.keep_labels(np.stack([au, expression, va], axis=1)))


def _either_or_both(position: NDArray[np.floating]) -> tuple[NDArray[np.bool_], ...]:
    """Masks of the first and second kind of label, and of both, at positions in [0, 1)."""
    both = position < FULLY_LABELED_FRACTION
    half = FULLY_LABELED_FRACTION + (1 - FULLY_LABELED_FRACTION) / 2
    return both | (position < half), both | (position >= half), both


def _occlude(
    train: FullGroundTruth,
    validation: FullGroundTruth,
    parts: NDArray[np.float32],
    **details: Any,
) -> ScenarioData:
    """Data with an occluded face part (0 for none) in each training and validation row."""
    return _build_data(
        train,
        validation,
        corruption="occlusion",
        parameters=parts,
        occluded_aus=find_occluded_aus(parts[len(train) :]),
        details={"occluded_fraction": float((parts > 0).mean()), **details},
    )


def _paths(*truths: FullGroundTruth) -> list[str]:
    return [path for truth in truths for path in truth.table.path.to_pylist()]


def few_identities(data: RenderWildData, seed: int) -> ScenarioData:
    """M1. 30 training identities are labeled; images of the others have only their identity."""
    train, validation = _split(data.low_fps)
    names = sorted(set(train.table.groups))
    count = min(MAX_LABELED_IDENTITIES, max(1, len(names) // 2))
    chosen = set(np.random.default_rng([seed, 1]).permutation(names)[:count].tolist())
    is_labeled = np.array([group in chosen for group in train.table.groups])[train.table.video]
    train = mask_labels(train, is_labeled, is_labeled, is_labeled)
    details = {"labeled_identities": count, "identities": len(names)}
    return _build_data(train, validation, details=details)


def noisy_images(data: RenderWildData, seed: int) -> ScenarioData:
    """M2. All images are dark, noisy and of low resolution; videos with mismatched audio are
    excluded.
    """
    train, validation = _split(data.low_fps.select(~data.low_fps.is_mismatched))
    parameters = np.ones(len(train) + len(validation), np.float32)
    return _build_data(train, validation, corruption="noise", parameters=parameters)


def partial_labels(data: RenderWildData, seed: int) -> ScenarioData:
    """M3. Each training frame has AU labels or an expression label; 10 % have both."""
    train, validation = _split(data.low_fps)
    train = train.select(train.table.expression_mask)
    kind = np.random.default_rng([seed, 3]).random(len(train))
    expression, au, both = _either_or_both(kind)
    train = mask_labels(train, au, expression, np.zeros(len(train), bool))
    return _build_data(train, validation, details={"fully_labeled_frames": int(both.sum())})


def occluded_expressions(data: RenderWildData, seed: int) -> ScenarioData:
    """M4. Frames with a clear expression, whose AUs co-occur; one face part is occluded in 60 % of
    them.
    """
    clear = data.low_fps.select(data.low_fps.strength.max(axis=1) >= MIN_EXPRESSION_STRENGTH)
    train, validation = _split(clear)
    parts = _random_parts(_paths(train, validation))
    correlation = _mean_max_correlation(train.table.au)
    return _occlude(train, validation, parts, mean_max_correlation=correlation)


def _random_parts(paths: list[str]) -> NDArray[np.float32]:
    parts = []
    for path in paths:
        rng = crop_rng(path, 4)
        part = rng.integers(1, len(FACE_PARTS) + 1) if rng.random() < OCCLUDED_FRACTION else 0
        parts.append(part)
    return np.array(parts, np.float32)


def _mean_max_correlation(au: NDArray[np.float32]) -> float:
    """Mean over AUs of the largest correlation with another AU."""
    varying = au[:, au.std(axis=0) > 0]
    correlation = np.corrcoef(varying.T)
    np.fill_diagonal(correlation, -1)
    return float(correlation.max(axis=1).mean())


def ten_percent_labels(data: RenderWildData, seed: int) -> ScenarioData:
    """M5. 10 % of the videos are labeled for each task, drawn independently; images and audio of
    all videos are available.
    """
    train, validation = _split(data.low_fps)
    rng = np.random.default_rng([seed, 5])
    videos = len(train.table.videos)
    labeled = max(2, round(LABELED_FRACTION * videos))
    masks = [np.isin(train.table.video, rng.permutation(videos)[:labeled]) for _ in range(3)]
    return _build_data(
        mask_labels(train, *masks),
        validation,
        details={"labeled_videos": labeled, "videos": videos},
    )


def label_noise(data: RenderWildData, seed: int) -> ScenarioData:
    """M5. 20 % of the training frames have the labels of another frame."""
    train, validation = _split(data.low_fps)
    rng = np.random.default_rng([seed, 6])
    table = train.table
    is_wrong = rng.random(len(train)) < LABEL_NOISE_FRACTION
    source = np.arange(len(train))
    source[is_wrong] = rng.permutation(len(train))[: int(is_wrong.sum())]
    names = ("au", "au_mask", "expression", "expression_mask", "va", "va_mask")
    columns: dict[str, Any] = {name: getattr(table, name)[source] for name in names}
    train = replace(train, table=replace(table, **columns))
    mislabeled = int((source != np.arange(len(train))).sum())
    return _build_data(train, validation, details={"mislabeled_frames": mislabeled})


def mixed_resolutions(data: RenderWildData, seed: int) -> ScenarioData:
    """M6. Crops are downsampled to 12 to 96 px; training frames have the labels of their annotation
    files.
    """
    train, validation = _split(data.low_fps)
    train = replace(train, table=train.official)
    low, high = np.log(LOW_RESOLUTION_PX)
    sides_px = [np.exp(crop_rng(path, 6).uniform(low, high)) for path in _paths(train, validation)]
    parameters = (np.array(sides_px) / CROP_PX).astype(np.float32)
    return _build_data(train, validation, corruption="low_resolution", parameters=parameters)


def atypical_neutral_faces(data: RenderWildData, seed: int) -> ScenarioData:
    """M7. Validation uses the third of the videos with the most atypical neutral brows or mouth, by
    landmarks of low-intensity frames.
    """
    train, validation = _split(data.low_fps)
    outlierness = neutral_face_outlierness(data.low_fps)
    scores = np.array([outlierness[video] for video in validation.table.videos])
    count = max(1, round(ATYPICAL_FRACTION * len(scores)))
    chosen = np.argsort(-scores, kind="stable")[:count]
    details = {
        "min_outlierness": float(scores[chosen].min()),
        "mean_outlierness": float(scores.mean()),
    }
    validation = validation.select(np.isin(validation.table.video, chosen))
    return _build_data(train, validation, details=details)


def occluded_segments(data: RenderWildData, seed: int) -> ScenarioData:
    """M7. In every video one face part is occluded during one contiguous segment of 40 % of the
    frames.
    """
    train, validation = _split(data.low_fps)
    parts = np.concatenate([_segment_parts(train.table), _segment_parts(validation.table)])
    return _occlude(train, validation, parts)


def _segment_parts(table: FrameTable) -> NDArray[np.float32]:
    parts = np.zeros(len(table), np.float32)
    for k, video in enumerate(table.videos):
        rows = np.flatnonzero(table.video == k)
        rng = crop_rng(video, 7)
        length = round(OCCLUDED_SEGMENT_FRACTION * len(rows))
        start = int(rng.integers(0, len(rows) - length + 1))
        parts[rows[start : start + length]] = rng.integers(1, len(FACE_PARTS) + 1)
    return parts


def multi_database(data: RenderWildData, seed: int) -> ScenarioData:
    """M8. Videos have expression labels or valence-arousal labels, as from two databases; 10 % have
    both.
    """
    train, validation = _split(data.low_fps)
    videos = len(train.table.videos)
    rank = np.random.default_rng([seed, 8]).permutation(videos) / videos
    expression, va, both = _either_or_both(rank)
    video = train.table.video
    train = mask_labels(train, np.zeros(len(train), bool), expression[video], va[video])
    counts = {
        "both": int(both.sum()),
        "EXPR": int((expression & ~both).sum()),
        "VA": int((va & ~both).sum()),
    }
    return _build_data(train, validation, details={"videos": counts})


def original_annotations(data: RenderWildData, seed: int) -> ScenarioData:
    """All labels of the annotation files, of both RenderWilds; validation at the full frame rate.

    A network with memory trained only on low-frame-rate videos is validated at that frame rate.
    """
    train, validation = _split(data.full_fps)
    is_low_fps_only = not len(train) and data.low_fps.size in SIZES
    input_fps = float(max(SIZES[data.low_fps.size].fps)) if is_low_fps_only else None
    if data.low_fps is not data.full_fps:
        train = concat_ground_truth([data.low_fps.select(data.low_fps.is_train), train])
    train, validation = (replace(side, table=side.official) for side in (train, validation))
    return _build_data(train, validation, input_fps=input_fps, details={"input_fps": input_fps})


SCENARIOS: Final[dict[str, Scenario]] = {
    build.__name__: Scenario(" ".join((build.__doc__ or "").split()), build)
    for build in (
        few_identities,
        noisy_images,
        partial_labels,
        occluded_expressions,
        ten_percent_labels,
        label_noise,
        mixed_resolutions,
        atypical_neutral_faces,
        occluded_segments,
        multi_database,
        original_annotations,
    )
}
"""By name."""
