"""What a RenderWild of a size and seed holds: videos, people, splits, tasks, traps. Nothing is
rendered here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.synthesis.au_targets import RIG_NAMES
from training.synthesis.face import VALIDATION_EVERY
from training.synthesis.videos.emotion_prototypes import EMOTION_NAMES, partners

PLAN_VERSION: Final[int] = 2
"""Raised whenever the same size and seed would give other videos; a folder of another version is
not continued.
"""

TASKS: Final = ("AU", "EXPR", "VA")

COMBINATIONS: Final[tuple[tuple[str, ...], ...]] = (
    ("AU", "EXPR", "VA"), ("AU",), ("EXPR",), ("VA",), ("AU", "EXPR"), ("AU", "VA"), ("EXPR", "VA"),
    ("AU", "EXPR", "VA"), ("AU", "EXPR", "VA"), ("AU", "EXPR", "VA"),
)  # fmt: skip
"""Which tasks are annotated, gone through in turn within each split: four of ten videos carry all
three.
"""

MISMATCHED_SHARE: Final[float] = 0.2
"""Share of videos whose voice never fits the face, in each split, rounded to whole videos."""

ARKIT_EVERY: Final[int] = 3
"""Every third annotated track shows the ARKit units, the others the FACS targets."""

FIRST_PERSON: Final[int] = 500_000
"""People are numbered from here on, apart from those of single images. As there, a number that
divides by `VALIDATION_EVERY` is a person for validation.
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
"""How annotation files may look, by video."""

ROW_DIFFERENCES: Final = (0, 0, -1, 0, 1)
"""Annotation rows less frames, by task and video."""


@dataclass(frozen=True, slots=True)
class WildSize:
    """How much is rendered."""

    train_singles: int
    train_pairs: int
    validation_singles: int
    validation_pairs: int
    tile_px: int  # of the square that one person is drawn in
    fps: tuple[int, ...]
    duration_s: tuple[float, float]

    @property
    def tracks(self) -> int:
        return (
            self.train_singles
            + self.validation_singles
            + 2 * (self.train_pairs + self.validation_pairs)
        )


SIZES: Final[dict[str, WildSize]] = {
    "tiny": WildSize(5, 1, 1, 1, 96, (12,), (2.7, 3.0)),
    "small": WildSize(26, 2, 8, 1, 192, (24, 25, 30), (5.0, 20.0)),
    "people": WildSize(420, 0, 70, 0, 192, (3,), (8.0, 12.0)),
    "crowd": WildSize(1000, 0, 100, 0, 192, (1,), (4.0, 6.0)),
    "large": WildSize(300, 30, 100, 10, 224, (24, 25, 30), (5.0, 20.0)),
}


@dataclass(frozen=True, slots=True)
class PersonPlan:
    """One annotated person of a video."""

    name: str  # of the annotation files and the crop folder
    identity: int
    rig: str
    tasks: tuple[str, ...]
    emotions: tuple[str, ...]  # shown in turn
    row_difference: tuple[int, ...]  # for each of `tasks`
    has_invalid: tuple[bool, ...]  # for each of `tasks`, whether a stretch is -1 or -5


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video file."""

    index: int  # its random numbers come from the order's seed and this
    name: str  # of the file, without ending
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
    is_occluded: bool  # something hides part of a face for a while
    has_stray_file: bool  # a .DS_Store among the crops

    @property
    def file_name(self) -> str:
        return f"videos/{self.folder}/{self.name}.{'avi' if self.is_avi else 'mp4'}"

    @property
    def split(self) -> str:
        return "Validation_Set" if self.is_validation else "Train_Set"


def person_number(is_validation: bool, k: int) -> int:
    """The k-th person of a side of the split."""
    if is_validation:
        return FIRST_PERSON + VALIDATION_EVERY * k
    return FIRST_PERSON + k + 1 + k // (VALIDATION_EVERY - 1)


def plan_wild(size_name: str, seed: int) -> list[VideoPlan]:
    """All videos of a size and seed, always the same."""
    if size_name not in SIZES:
        raise ValueError(f"size must be one of {', '.join(SIZES)}, got {size_name!r}")
    size = SIZES[size_name]
    rng = np.random.default_rng([seed, 0, 40])
    train = _plan_split(rng, size, is_validation=False, first_index=0)
    return train + _plan_split(rng, size, is_validation=True, first_index=len(train))


def _spread(rng: np.random.Generator, count: int, chosen: int) -> list[bool]:
    """`chosen` of `count` places, at random."""
    flags = np.zeros(count, bool)
    flags[rng.permutation(count)[:chosen]] = True
    return [bool(flag) for flag in flags]


def _at_least_one(count: int, share: float) -> int:
    return max(1, round(share * count)) if count else 0


def _plan_split(
    rng: np.random.Generator, size: WildSize, *, is_validation: bool, first_index: int
) -> list[VideoPlan]:
    singles = size.validation_singles if is_validation else size.train_singles
    pairs = size.validation_pairs if is_validation else size.train_pairs
    count = singles + pairs
    is_pair = _spread(rng, count, pairs)
    people = _plan_people(rng, singles + 2 * pairs, is_validation)
    mismatched = _spread(rng, count, round(MISMATCHED_SHARE * count))
    occluded = _spread(rng, count, _at_least_one(count, 0.25))
    late_audio = _spread(rng, count, _at_least_one(count, 0.2))
    stray_file = _spread(rng, count, _at_least_one(count, 0.05))
    avi = _spread(rng, count, round(0.06 * count))
    quirk = rng.integers(len(QUIRKS))
    videos, taken = [], 0
    for k in range(count):
        mine = people[taken : taken + 1 + is_pair[k]]
        taken += len(mine)
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
                people=_name_people(name, mine),
                fps=fps,
                frame_count=round(float(rng.uniform(*size.duration_s)) * fps),
                size_wh=size_wh,
                is_mismatched=mismatched[k],
                audio_start_s=offset_s if late_audio[k] and not avi[k] else 0.0,
                quality=int(rng.integers(19, 31)),
                quirk=QUIRKS[
                    (quirk + 4 * k) % len(QUIRKS)
                ],  # four apart: two short splits meet each kind
                is_occluded=occluded[k],
                has_stray_file=stray_file[k],
            )
        )
    return videos


def _plan_people(rng: np.random.Generator, count: int, is_validation: bool) -> list[PersonPlan]:
    """Tracks before they have names: tasks, emotions and rigs go round, a few people come twice."""
    emotion_order = rng.permutation(
        [*EMOTION_NAMES, "happiness"]
    )  # as common in the wild as two of the others
    combination_order = rng.permutation(count)
    row_start = int(rng.integers(len(ROW_DIFFERENCES)))
    people = []
    for k in range(count):
        tasks = COMBINATIONS[combination_order[k] % len(COMBINATIONS)]
        first = str(emotion_order[k % len(emotion_order)])
        second = str(rng.choice([*partners(first), *EMOTION_NAMES, "happiness", "happiness"]))
        others = [
            str(name)
            for name in rng.permutation(
                [name for name in EMOTION_NAMES if name not in (first, second)]
            )
        ]
        emotions = tuple(dict.fromkeys([first, second, *others[:2]]))
        comes_again = k >= 4 and k % 5 == 4  # as the person four tracks before
        people.append(
            PersonPlan(
                name="",
                identity=person_number(is_validation, k - 4 if comes_again else k),
                rig=RIG_NAMES[1] if k % ARKIT_EVERY == 1 else RIG_NAMES[0],
                tasks=tasks,
                emotions=emotions,
                row_difference=tuple(
                    ROW_DIFFERENCES[(row_start + 3 * k + j) % len(ROW_DIFFERENCES)]
                    for j in range(len(tasks))
                ),
                has_invalid=tuple((k + j) % 2 == 0 for j in range(len(tasks))),
            )
        )
    return people


def _name_video(rng: np.random.Generator, index: int, fps: int, size_wh: tuple[int, int]) -> str:
    """Names as they occur in Aff-Wild2, numbered so that none comes twice; some hold an underscore
    of their own.
    """
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
