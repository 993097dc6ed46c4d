"""Plans the videos of RenderWild for a size and seed: people, splits, tasks, irregularities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.synthesis.au_targets import RIG_NAMES
from training.synthesis.face_renderer import VALIDATION_STRIDE
from training.synthesis.videos.emotion_prototypes import EMOTION_NAMES, blend_partners

PLAN_VERSION: Final[int] = 2
"""Increment when the same size and seed would produce different videos; a folder of another version
is not resumed.
"""

TASK_COMBINATIONS: Final[tuple[tuple[str, ...], ...]] = (
    ("AU", "EXPR", "VA"),
    ("AU",),
    ("EXPR",),
    ("VA",),
    ("AU", "EXPR"),
    ("AU", "VA"),
    ("EXPR", "VA"),
    ("AU", "EXPR", "VA"),
    ("AU", "EXPR", "VA"),
    ("AU", "EXPR", "VA"),
)
"""Annotated tasks, used cyclically within each split: four of ten tracks have all three."""

MISMATCHED_FRACTION: Final[float] = 0.2
"""Fraction of the videos of each split whose voice never matches the face, rounded to videos."""

ARKIT_STRIDE: Final[int] = 3
"""Stride of the annotated tracks that use the ARKit rig; the others use the FACS rig."""

FIRST_IDENTITY: Final[int] = 500_000
"""First identity number, distinct from those of the images. As there, numbers divisible by
`VALIDATION_STRIDE` are validation identities.
"""

QUIRKS: Final = (
    "plain",
    "plain",
    "plain",
    "plain",
    "no newline at the end",
    "trailing spaces",
    "trailing commas",
)
"""Format irregularities of annotation files, by video."""

ROW_DIFFERENCES: Final = (0, 0, -1, 0, 1)
"""Number of annotation rows minus number of frames, by task and video."""


@dataclass(frozen=True, slots=True)
class DatasetSize:
    """Size of the data set."""

    train_singles: int
    train_pairs: int
    validation_singles: int
    validation_pairs: int
    tile_px: int  # side of the square tile in which a person is rendered
    fps: tuple[int, ...]
    duration_s: tuple[float, float]

    @property
    def tracks(self) -> int:
        return (
            self.train_singles
            + self.validation_singles
            + 2 * (self.train_pairs + self.validation_pairs)
        )


SIZES: Final[dict[str, DatasetSize]] = {
    "tiny": DatasetSize(5, 1, 1, 1, 96, (12,), (2.7, 3.0)),
    "small": DatasetSize(26, 2, 8, 1, 192, (24, 25, 30), (5.0, 20.0)),
    "people": DatasetSize(420, 0, 70, 0, 192, (3,), (8.0, 12.0)),
    "crowd": DatasetSize(1000, 0, 100, 0, 192, (1,), (4.0, 6.0)),
    "large": DatasetSize(300, 30, 100, 10, 224, (24, 25, 30), (5.0, 20.0)),
}


@dataclass(frozen=True, slots=True)
class PersonPlan:
    """One annotated person of a video."""

    name: str  # of the annotation files and the crop folder
    identity: int
    rig: str
    tasks: tuple[str, ...]
    emotions: tuple[str, ...]  # in order of appearance
    row_difference: tuple[int, ...]  # for each of `tasks`
    has_unlabeled: tuple[bool, ...]  # for each of `tasks`, whether spans are marked -1 or -5


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video file."""

    index: int  # seeds the random generators, together with the seed of the data set
    name: str  # file stem
    folder: str  # batch1 or batch2
    is_avi: bool
    is_validation: bool
    people: tuple[PersonPlan, ...]  # from left to right
    fps: int
    frame_count: int
    size_wh: tuple[int, int]
    is_mismatched: bool
    audio_start_s: float
    quality: int
    quirk: str
    is_occluded: bool  # a face is temporarily occluded
    has_stray_file: bool  # a .DS_Store among the crops

    @property
    def file_name(self) -> str:
        return f"videos/{self.folder}/{self.name}.{'avi' if self.is_avi else 'mp4'}"

    @property
    def split(self) -> str:
        return "Validation_Set" if self.is_validation else "Train_Set"


def identity_number(is_validation: bool, k: int) -> int:
    """Returns the k-th identity of a split."""
    if is_validation:
        return FIRST_IDENTITY + VALIDATION_STRIDE * k
    return FIRST_IDENTITY + k + 1 + k // (VALIDATION_STRIDE - 1)


def plan_videos(size_name: str, seed: int) -> list[VideoPlan]:
    """Returns the videos of a size and seed; deterministic."""
    if size_name not in SIZES:
        raise ValueError(f"expected size to be one of {', '.join(SIZES)}, got {size_name!r}")
    size = SIZES[size_name]
    rng = np.random.default_rng([seed, 0, 40])
    train = _plan_split(rng, size, is_validation=False, first_index=0)
    return train + _plan_split(rng, size, is_validation=True, first_index=len(train))


def _random_flags(rng: np.random.Generator, count: int, chosen: int) -> list[bool]:
    """Returns `count` flags of which `chosen` are set, at random."""
    flags = np.zeros(count, bool)
    flags[rng.permutation(count)[:chosen]] = True
    return [bool(flag) for flag in flags]


def _at_least_one(count: int, fraction: float) -> int:
    return max(1, round(fraction * count)) if count else 0


def _plan_split(
    rng: np.random.Generator, size: DatasetSize, *, is_validation: bool, first_index: int
) -> list[VideoPlan]:
    singles = size.validation_singles if is_validation else size.train_singles
    pairs = size.validation_pairs if is_validation else size.train_pairs
    count = singles + pairs
    is_pair = _random_flags(rng, count, pairs)
    people = _plan_people(rng, singles + 2 * pairs, is_validation)
    mismatched = _random_flags(rng, count, round(MISMATCHED_FRACTION * count))
    occluded = _random_flags(rng, count, _at_least_one(count, 0.25))
    late_audio = _random_flags(rng, count, _at_least_one(count, 0.2))
    stray_file = _random_flags(rng, count, _at_least_one(count, 0.05))
    avi = _random_flags(rng, count, round(0.06 * count))
    quirk = rng.integers(len(QUIRKS))
    videos = []
    first_person = 0
    for k in range(count):
        video_people = people[first_person : first_person + 1 + is_pair[k]]
        first_person += len(video_people)
        width = 2 * size.tile_px if is_pair[k] else size.tile_px * 3 // 2
        size_wh = (width, size.tile_px)
        fps = int(rng.choice(size.fps))
        name = _name_video(rng, first_index + k, fps, size_wh)
        offset_s = float(rng.choice([-1, 1, 1]) * round(float(rng.uniform(0.1, 0.5)) * fps) / fps)
        videos.append(
            VideoPlan(
                index=first_index + k,
                name=name,
                folder="batch2" if (first_index + k) % 3 == 2 else "batch1",
                is_avi=avi[k],
                is_validation=is_validation,
                people=_name_people(name, video_people),
                fps=fps,
                frame_count=round(float(rng.uniform(*size.duration_s)) * fps),
                size_wh=size_wh,
                is_mismatched=mismatched[k],
                audio_start_s=offset_s if late_audio[k] and not avi[k] else 0.0,
                quality=int(rng.integers(19, 31)),
                # A stride of four reaches every kind even in two short splits.
                quirk=QUIRKS[(quirk + 4 * k) % len(QUIRKS)],
                is_occluded=occluded[k],
                has_stray_file=stray_file[k],
            )
        )
    return videos


def _plan_people(rng: np.random.Generator, count: int, is_validation: bool) -> list[PersonPlan]:
    """Plans unnamed tracks: tasks, emotions and rigs are cycled, a few identities occur twice."""
    # Happiness is about twice as frequent in the wild as the other emotions.
    emotion_order = rng.permutation([*EMOTION_NAMES, "happiness"])
    combination_order = rng.permutation(count)
    row_start = int(rng.integers(len(ROW_DIFFERENCES)))
    people = []
    for k in range(count):
        tasks = TASK_COMBINATIONS[combination_order[k] % len(TASK_COMBINATIONS)]
        first = str(emotion_order[k % len(emotion_order)])
        second = str(rng.choice([*blend_partners(first), *EMOTION_NAMES, "happiness", "happiness"]))
        others = [
            str(name)
            for name in rng.permutation(
                [name for name in EMOTION_NAMES if name not in (first, second)]
            )
        ]
        emotions = tuple(dict.fromkeys([first, second, *others[:2]]))
        repeats_identity = k >= 4 and k % 5 == 4  # the identity four tracks before
        people.append(
            PersonPlan(
                name="",
                identity=identity_number(is_validation, k - 4 if repeats_identity else k),
                rig=RIG_NAMES[1] if k % ARKIT_STRIDE == 1 else RIG_NAMES[0],
                tasks=tasks,
                emotions=emotions,
                row_difference=tuple(
                    ROW_DIFFERENCES[(row_start + 3 * k + j) % len(ROW_DIFFERENCES)]
                    for j in range(len(tasks))
                ),
                has_unlabeled=tuple((k + j) % 2 == 0 for j in range(len(tasks))),
            )
        )
    return people


def _name_video(rng: np.random.Generator, index: int, fps: int, size_wh: tuple[int, int]) -> str:
    """Returns a unique name in a style of Aff-Wild2; some contain an underscore."""
    number = index + 1
    styles = [
        f"video{number}",
        f"{number}",
        f"{number}-{fps}-{size_wh[0]}x{size_wh[1]}",
        f"clip_{number}",
    ]
    return styles[rng.choice(4, p=[0.35, 0.25, 0.25, 0.15])]


def _name_people(video: str, people: list[PersonPlan]) -> tuple[PersonPlan, ...]:
    if len(people) == 1:
        return (replace(people[0], name=video),)
    return tuple(
        replace(person, name=f"{video}_{side}")
        for person, side in zip(people, ("left", "right"), strict=True)
    )
