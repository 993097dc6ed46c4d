"""Sampling and augmentation options of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from faceaffect.labels import EXPRESSION_NAMES

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "form": ("auto", "frames", "windows"),
    "turn": ("batch", "epoch"),
    "length": ("longest", "shortest"),
    "weights": ("none", "inverse"),
    "jitter": ("auto", "light", "published", "none"),
}


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """Options that only some samplers read.

    form: what a sample is; auto is what the network takes (windows for networks over sequences).
    every: only every n-th frame (or window) of an epoch, others in the next; 1 takes all.
    windows: how many a batch holds where samples are windows; 0 for as many as `batch` says.
    stride: frames between the starts of two windows. drop_gaps: windows hold consecutive frame
    numbers only.
    turn: of `alternate`: a batch of each task in turn, or the whole of each within an epoch.
    length: of `parallel_tasks`: an epoch lasts as long as the longest or the shortest of the
    sets.
    joint: of `parallel_tasks`: one more set, of frames labeled for all tasks.
    unlabeled: of `mixed` with a teacher: how many samples without any label each batch holds
    beside those with one; 0
        draws from all alike.
    weights: inverse draws rare expressions and rare valence and arousal as often as frequent
    ones (frames only).
    keep_one_in: for each expression, keep one in so many of the frames (not windows) labeled for
    it; empty keeps all.
    va_every: keep every n-th of the frames that are labeled for valence and arousal alone.
    pairs: of `pairs`: how many an epoch holds for each AU.
    repeats: of `pairs`: how many times a stage is trained, with new pairs; the one with the lowest
    loss on pairs of validation videos is kept.
    jitter: how training images are varied; published is the method's own (light where it states
    none), which auto takes
        at the published size.
    drop_audio: share of clips whose audio is withheld, so that a network knows how to do
    without.
    """

    form: str = "auto"
    every: int = 1
    windows: int = 0
    stride: int = 10
    drop_gaps: bool = False
    turn: str = "batch"
    length: str = "longest"
    joint: bool = False
    unlabeled: int = 0
    weights: str = "none"
    keep_one_in: tuple[int, ...] = ()
    va_every: int = 1
    pairs: int = 10_000
    repeats: int = 1
    jitter: str = "auto"
    drop_audio: float = 0.1

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"sampling.{name} must be one of {', '.join(choices)}, "
                    f"got {getattr(self, name)!r}"
                )
        for name in ("every", "stride", "va_every", "pairs", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"sampling.{name} must be at least 1, got {getattr(self, name)}")
        if self.keep_one_in and (
            len(self.keep_one_in) != len(EXPRESSION_NAMES) or min(self.keep_one_in) < 1
        ):
            raise ValueError(
                f"sampling.keep_one_in must be {len(EXPRESSION_NAMES)} numbers from 1 "
                f"({', '.join(EXPRESSION_NAMES)}) or empty, got {self.keep_one_in}"
            )
        for name in ("windows", "unlabeled"):
            if getattr(self, name) < 0:
                raise ValueError(f"sampling.{name} must be at least 0, got {getattr(self, name)}")
        if not 0 <= self.drop_audio <= 1:
            raise ValueError(
                f"sampling.drop_audio must be a share from 0 to 1, got {self.drop_audio}"
            )
