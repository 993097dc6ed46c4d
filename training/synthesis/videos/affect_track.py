"""Simulates affect over a video: emotion segments, expression labels, valence and arousal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.emotion_to_va import valence_arousal
from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.emotion_prototypes import blend_partners
from training.synthesis.videos.motion_curves import onset_apex_offset

NEUTRAL_S = (0.8, 3.2)
EMOTION_S = (2.0, 4.8)
"""Shortest and longest segment; macro expressions last from 0.5 to 4 s (Ekman 2003, Emotions
Revealed).
"""

BLEND_PROBABILITY: Final[float] = 0.22
"""Probability that an emotional segment blends two emotions."""

MIN_EXPRESSED_STRENGTH: Final[float] = 0.3
"""Summed strength from which a frame is labeled with an emotion; neutral below."""

MIN_DOMINANT_FRACTION: Final[float] = 0.6
"""An emotion labels a blend if it contributes at least this fraction; otherwise the label is -1
(coders disagree).
"""

ONSET_S = 0.5
OFFSET_S = 0.8
"""Mean onset and offset duration of an expression; offsets are slower (Schmidt, Cohn and Tian 2003
on smiles).
"""

VA_TAU_S: Final[float] = 0.45
VA_NOISE: Final[float] = 0.035
VA_NOISE_TAU_S: Final[float] = 1.5
HOME_BASE_SD: Final[float] = 0.04


@dataclass(frozen=True, slots=True)
class EmotionSegment:
    """A time interval with one emotion or blend; neutral without emotions."""

    start_s: float
    end_s: float
    emotions: tuple[tuple[str, float], ...]  # (emotion, weight), strongest first; weights sum to 1
    level: float  # strength at the apex, 0..1

    @property
    def dominant(self) -> str:
        return self.emotions[0][0] if self.emotions else "neutral"


@dataclass(frozen=True, slots=True)
class AffectTrack:
    """Ground truth over n frames."""

    strength: FloatArray  # [n, 7] in the order of EXPRESSION_NAMES; rows sum to 1
    expression: NDArray[np.int8]  # [n] class index, -1 for blends without a dominant emotion
    va: FloatArray  # [n, 2] valence, arousal in -1..1


def sample_segments(
    rng: np.random.Generator, duration_s: float, emotions: tuple[str, ...]
) -> list[EmotionSegment]:
    """Samples neutral and emotional segments; `emotions` are used in order, cyclically."""
    # Even a clip of a few seconds contains a complete expression.
    time_scale = min(1.0, duration_s / 6.0)
    segments: list[EmotionSegment] = []
    now_s = 0.0
    emotion_index = 0
    is_neutral = rng.random() < 0.7 or duration_s < 4
    while now_s < duration_s - 0.2:
        low, high = NEUTRAL_S if is_neutral else EMOTION_S
        end_s = min(duration_s, now_s + float(rng.uniform(low, high)) * time_scale)
        if duration_s - end_s < 0.6 * time_scale:
            end_s = duration_s
        if is_neutral:
            segments.append(EmotionSegment(now_s, end_s, (), 0.0))
        else:
            emotion = emotions[emotion_index % len(emotions)]
            segments.append(_emotional(rng, now_s, end_s, emotion))
            emotion_index += 1
        is_neutral = not is_neutral and rng.random() < 0.75
        now_s = end_s
    return segments


def _emotional(
    rng: np.random.Generator, start_s: float, end_s: float, emotion: str
) -> EmotionSegment:
    level = float(0.5 + 0.5 * rng.beta(1.4, 1.1))
    if rng.random() >= BLEND_PROBABILITY:
        return EmotionSegment(start_s, end_s, ((emotion, 1.0),), level)
    weight = float(rng.uniform(0.5, 0.8))
    other = str(rng.choice(blend_partners(emotion)))
    return EmotionSegment(start_s, end_s, ((emotion, weight), (other, 1 - weight)), level)


def segment_envelope(segment: EmotionSegment, time_s: FloatArray) -> FloatArray:
    """Returns the strength [n] of a segment, 0..level.

    It cross-fades into its neighbors, centered on the boundary.
    """
    length_s = segment.end_s - segment.start_s
    onset_s, offset_s = min(ONSET_S, 0.4 * length_s), min(OFFSET_S, 0.5 * length_s)
    start_s, end_s = segment.start_s - onset_s / 2, segment.end_s + offset_s / 2
    return np.asarray(
        segment.level * onset_apex_offset(time_s, start_s, end_s, onset_s, offset_s), np.float32
    )


def make_affect_track(
    rng: np.random.Generator, segments: list[EmotionSegment], time_s: FloatArray
) -> AffectTrack:
    """Returns the ground truth of segments at frame times [n]."""
    strength = np.zeros((len(time_s), len(EXPRESSION_NAMES)), np.float32)
    for segment in segments:
        envelope = segment_envelope(segment, time_s)
        for emotion, weight in segment.emotions:
            column = EXPRESSION_NAMES.index(emotion)
            strength[:, column] = np.maximum(strength[:, column], weight * envelope)
    total = strength.sum(axis=1, keepdims=True)
    strength /= np.maximum(total, 1.0)
    strength[:, 0] = 1 - strength[:, 1:].sum(axis=1)
    return AffectTrack(
        strength, label_expressions(strength), simulate_valence_arousal(rng, strength, time_s)
    )


def label_expressions(strength: FloatArray) -> NDArray[np.int8]:
    """Returns class indices [n] of strengths [n, 7]; -1 for blends without a dominant emotion."""
    emotions = strength[:, 1:]
    total = emotions.sum(axis=1)
    label = np.where(total < MIN_EXPRESSED_STRENGTH, 0, 1 + emotions.argmax(axis=1))
    is_even = (total >= MIN_EXPRESSED_STRENGTH) & (
        emotions.max(axis=1) < MIN_DOMINANT_FRACTION * total
    )
    return np.where(is_even, -1, label).astype(np.int8)


def simulate_valence_arousal(
    rng: np.random.Generator, strength: FloatArray, time_s: FloatArray
) -> FloatArray:
    """Simulates valence and arousal [n, 2] with the dynamics of core affect.

    With the target m(t) = sum over expressions of strength times `emotion_to_va.COORDINATES` and
    the home base h of the person,

        dx = (m(t) + h - x) / tau dt,        y = x + s n(t)

    where n is an Ornstein-Uhlenbeck process of unit variance: the model of Kuppens, Oravecz and
    Tuerlinckx (2010), Feelings change, J. Personality and Social Psychology 99(6), with the emotion
    as a moving attractor. tau is `VA_TAU_S`, s is `VA_NOISE` and h has standard deviation
    `HOME_BASE_SD`; these three values are not from the literature.
    """
    step_s = float(time_s[1] - time_s[0]) if len(time_s) > 1 else 1.0
    target = valence_arousal(strength) + rng.normal(0, HOME_BASE_SD, 2)
    decay = np.exp(-step_s / VA_TAU_S)
    noise_decay = np.exp(-step_s / VA_NOISE_TAU_S)
    increments = rng.normal(size=(len(time_s), 2)) * np.sqrt(1 - noise_decay**2)
    path = np.empty((len(time_s), 2))
    x = target[0]
    noise = rng.normal(size=2)
    for k in range(len(time_s)):
        x = target[k] + (x - target[k]) * decay
        noise = noise * noise_decay + increments[k]
        path[k] = x + VA_NOISE * noise
    return np.clip(path, -1, 1).astype(np.float32)
