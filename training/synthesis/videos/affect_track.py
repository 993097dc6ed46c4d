"""What a person feels over a video: stretches of emotion, the expression label, valence and
arousal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.emotion_to_va import valence_arousal
from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.emotion_prototypes import partners
from training.synthesis.videos.smooth_tracks import onset_apex_offset

NEUTRAL_S, EMOTION_S = (0.8, 3.2), (2.0, 4.8)
"""Shortest and longest stretch; macro expressions last from half a second to four (Ekman 2003,
Emotions Revealed).
"""

MIXED_SHARE: Final[float] = 0.22
"""Share of emotional stretches that blend two emotions."""

EXPRESSED_FROM: Final[float] = 0.3
"""Summed strength from which a frame is labeled with an emotion; below it is neutral."""

DOMINANT_SHARE: Final[float] = 0.6
"""A blend is labeled by an emotion that holds this share of it; a more even one is labeled -1
(coders disagree).
"""

ONSET_S, OFFSET_S = 0.5, 0.8
"""Mean rise and fall of an emotional expression; offsets are slower (Schmidt, Cohn and Tian 2003 on
smiles).
"""

VA_TAU_S: Final[float] = 0.45
VA_NOISE: Final[float] = 0.035
VA_NOISE_TAU_S: Final[float] = 1.5
HOME_SPREAD: Final[float] = 0.04


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of time with one feeling. No shares: neutral."""

    start_s: float
    end_s: float
    shares: tuple[tuple[str, float], ...]  # emotion and its share, strongest first; they sum to 1
    level: float  # strength at the apex, 0..1

    @property
    def main(self) -> str:
        return self.shares[0][0] if self.shares else "neutral"


@dataclass(frozen=True, slots=True)
class AffectTrack:
    """Truth over n frames."""

    strength: (
        FloatArray  # [n, 7] of each expression, in the order of EXPRESSION_NAMES; rows sum to 1
    )
    expression: NDArray[np.int8]  # [n] class index, -1 where an even blend has none
    va: FloatArray  # [n, 2] valence, arousal in -1..1


def draw_stretches(
    rng: np.random.Generator, duration_s: float, emotions: tuple[str, ...]
) -> list[Segment]:
    """Neutral and emotional stretches in turn; `emotions` are gone through in order and again."""
    squeeze = min(1.0, duration_s / 6.0)  # a clip of a few seconds still holds a whole expression
    stretches: list[Segment] = []
    now_s, turn = 0.0, 0
    is_neutral = rng.random() < 0.7 or duration_s < 4
    while now_s < duration_s - 0.2:
        low, high = NEUTRAL_S if is_neutral else EMOTION_S
        end_s = min(duration_s, now_s + float(rng.uniform(low, high)) * squeeze)
        if duration_s - end_s < 0.6 * squeeze:
            end_s = duration_s
        if is_neutral:
            stretches.append(Segment(now_s, end_s, (), 0.0))
        else:
            stretches.append(_emotional(rng, now_s, end_s, emotions[turn % len(emotions)]))
            turn += 1
        is_neutral = not is_neutral and rng.random() < 0.75
        now_s = end_s
    return stretches


def _emotional(rng: np.random.Generator, start_s: float, end_s: float, emotion: str) -> Segment:
    level = float(0.5 + 0.5 * rng.beta(1.4, 1.1))
    if rng.random() >= MIXED_SHARE:
        return Segment(start_s, end_s, ((emotion, 1.0),), level)
    share = float(rng.uniform(0.5, 0.8))
    other = str(rng.choice(partners(emotion)))
    return Segment(start_s, end_s, ((emotion, share), (other, 1 - share)), level)


def stretch_envelope(stretch: Segment, time_s: FloatArray) -> FloatArray:
    """Strength [n] of a stretch, 0..level; it fades into its neighbors, half of the fade on either
    side.
    """
    length_s = stretch.end_s - stretch.start_s
    onset_s, offset_s = min(ONSET_S, 0.4 * length_s), min(OFFSET_S, 0.5 * length_s)
    start_s, end_s = stretch.start_s - onset_s / 2, stretch.end_s + offset_s / 2
    return np.asarray(
        stretch.level * onset_apex_offset(time_s, start_s, end_s, onset_s, offset_s), np.float32
    )


def follow_affect(
    rng: np.random.Generator, stretches: list[Segment], time_s: FloatArray
) -> AffectTrack:
    """The truth of stretches at frame times [n]."""
    strength = np.zeros((len(time_s), len(EXPRESSION_NAMES)), np.float32)
    for stretch in stretches:
        envelope = stretch_envelope(stretch, time_s)
        for emotion, share in stretch.shares:
            column = EXPRESSION_NAMES.index(emotion)
            strength[:, column] = np.maximum(strength[:, column], share * envelope)
    total = strength.sum(axis=1, keepdims=True)
    strength /= np.maximum(total, 1.0)
    strength[:, 0] = 1 - strength[:, 1:].sum(axis=1)
    return AffectTrack(
        strength, label_expression(strength), follow_circumplex(rng, strength, time_s)
    )


def label_expression(strength: FloatArray) -> NDArray[np.int8]:
    """Class index [n] of strengths [n, 7]: neutral, the dominant emotion, or -1 for an even blend."""
    emotions = strength[:, 1:]
    total = emotions.sum(axis=1)
    label = np.where(total < EXPRESSED_FROM, 0, 1 + emotions.argmax(axis=1))
    is_even = (total >= EXPRESSED_FROM) & (emotions.max(axis=1) < DOMINANT_SHARE * total)
    return np.where(is_even, -1, label).astype(np.int8)


def follow_circumplex(
    rng: np.random.Generator, strength: FloatArray, time_s: FloatArray
) -> FloatArray:
    """Valence and arousal [n, 2] that follow the emotions' places on the circumplex with inertia.

    With target m(t) = sum over expressions of strength times `circumplex.COORDINATES` plus a
    home base h of the person,

        dx = (m(t) + h - x) / tau dt,        y = x + s n(t)

    where n is an Ornstein-Uhlenbeck process of unit variance: the core affect dynamics of
    Kuppens, Oravecz and Tuerlinckx (2010), Feelings change, J. Personality and Social Psychology
    99(6), with the emotion as a moving attractor. tau is `VA_TAU_S`, s is `VA_NOISE`, h has a
    spread of `HOME_SPREAD`; these three are our choice.
    """
    step_s = float(time_s[1] - time_s[0]) if len(time_s) > 1 else 1.0
    target = valence_arousal(strength) + rng.normal(0, HOME_SPREAD, 2)
    keep, noise_keep = np.exp(-step_s / VA_TAU_S), np.exp(-step_s / VA_NOISE_TAU_S)
    kicks = rng.normal(size=(len(time_s), 2)) * np.sqrt(1 - noise_keep**2)
    path = np.empty((len(time_s), 2))
    x, noise = target[0], rng.normal(size=2)
    for k in range(len(time_s)):
        x = target[k] + (x - target[k]) * keep
        noise = noise * noise_keep + kicks[k]
        path[k] = x + VA_NOISE * noise
    return np.clip(path, -1, 1).astype(np.float32)
