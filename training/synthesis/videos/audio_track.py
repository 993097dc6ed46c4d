"""Who says what and when in a video, and how it audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.affect_track import Segment
from training.synthesis.videos.video_file import AUDIO_RATE_HZ
from training.synthesis.videos.voices import FITTING_VOICES, Sentence, VoiceCorpus

LEAD_S: Final[float] = 0.6
"""Room tone before the first image, for containers whose audio starts early."""

QUIET_SHARE: Final[float] = 0.35
"""Share of videos in which people speak little: pressed lips need closed mouths."""

NOISE_DB: Final = (-46.0, -24.0)
"""Level of the room against the voice."""

FADE_S: Final[float] = 0.04

_CANDIDATES: Final[int] = 2
"""Sentences that are decoded to find one that ends within its stretch."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence in a video's time."""

    start_s: float
    end_s: float
    person: int  # index among the video's people
    sentence: Sentence
    expression: str  # what the face shows where it starts
    gain: float


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """What is heard and who said it."""

    utterances: tuple[Utterance, ...]
    mixed: FloatArray  # [m] samples from -LEAD_S on
    spoken: tuple[FloatArray, ...]  # for each person, clean samples from time 0 on


@dataclass(frozen=True, slots=True)
class Speaker:
    """One person of a video as the audio track sees them; `speaker` is None for somebody who only
    listens.
    """

    speaker: str | None
    stretches: list[Segment]


def pick_speaker(
    rng: np.random.Generator, shelf: VoiceCorpus, pool: list[str], stretches: list[Segment]
) -> str | None:
    """A speaker of the pool who can voice every stretch, else one who can voice most."""
    if not pool:
        return None
    wanted = {stretch.main for stretch in stretches}
    able = [
        sum(bool(shelf.of(speaker, FITTING_VOICES[name])) for name in wanted) for speaker in pool
    ]
    return str(
        rng.choice(
            [speaker for speaker, count in zip(pool, able, strict=True) if count == max(able)]
        )
    )


def compose(
    rng: np.random.Generator,
    shelf: VoiceCorpus,
    talkers: list[Speaker],
    duration_s: float,
    is_mismatched: bool,
) -> AudioTrack:
    """Sentences one after the other, people in turn; each voice fits the face, or never does when
    `is_mismatched`.
    """
    is_quiet = rng.random() < QUIET_SHARE and duration_s > 4
    speaking = [k for k, talker in enumerate(talkers) if talker.speaker is not None]
    utterances: list[Utterance] = []
    now_s, turn = float(rng.uniform(0.1, 0.6)) * min(1.0, duration_s / 5), int(rng.integers(0, 2))
    while speaking and now_s < duration_s - 0.8:
        person = speaking[turn % len(speaking)]
        utterance = _next_sentence(
            rng, shelf, talkers[person], person, now_s, duration_s, is_mismatched, utterances
        )
        turn += 1
        if utterance is None:
            now_s += 0.5
            continue
        utterances.append(utterance)
        pause_s = rng.uniform(1.8, 4.5) if is_quiet else rng.lognormal(np.log(0.8), 0.5)
        now_s = utterance.end_s + float(pause_s)
    return _mix(rng, shelf, utterances, len(talkers), duration_s)


def _next_sentence(
    rng: np.random.Generator, shelf: VoiceCorpus, talker: Speaker, person: int, now_s: float, duration_s: float,
    is_mismatched: bool, before: list[Utterance],
) -> Utterance | None:  # fmt: skip
    here_s = min(now_s + 0.6, duration_s - 0.01)  # what a sentence is about, not the fade before it
    stretch = next(
        (s for s in talker.stretches if s.start_s <= here_s < s.end_s), talker.stretches[-1]
    )
    fitting = FITTING_VOICES[stretch.main]
    emotions = (
        tuple(sorted({s.emotion for s in shelf.sentences} - set(fitting)))
        if is_mismatched
        else fitting
    )
    if is_mismatched:  # any wrong emotion as likely as another
        emotions = (str(rng.choice(emotions)),)
    said = {utterance.sentence.file for utterance in before}
    choice = shelf.of(str(talker.speaker), emotions)
    choice = [s for s in choice if s.file not in said] or choice
    if not choice:
        return None
    order = rng.permutation(len(choice))[:_CANDIDATES]
    left_s = min(duration_s, stretch.end_s + 0.8) - now_s
    lengths_s = [len(shelf.audio(choice[k])) / AUDIO_RATE_HZ for k in order]
    inside = [i for i, length_s in enumerate(lengths_s) if length_s <= left_s]
    pick = inside[0] if inside else int(np.argmin(lengths_s))
    end_s = min(now_s + lengths_s[pick], duration_s)
    gain = 10 ** (float(rng.normal(0, 2.5)) / 20)
    return Utterance(now_s, end_s, person, choice[order[pick]], stretch.main, gain)


def _mix(
    rng: np.random.Generator,
    shelf: VoiceCorpus,
    utterances: list[Utterance],
    people: int,
    duration_s: float,
) -> AudioTrack:
    count = round(duration_s * AUDIO_RATE_HZ)
    lead = round(LEAD_S * AUDIO_RATE_HZ)
    spoken = [np.zeros(count, np.float32) for _ in range(people)]
    for utterance in utterances:
        start = round(utterance.start_s * AUDIO_RATE_HZ)
        samples = utterance.gain * shelf.audio(utterance.sentence)[: count - start]
        fade = min(len(samples), round(FADE_S * AUDIO_RATE_HZ))
        samples = samples.copy()
        samples[len(samples) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        spoken[utterance.person][start : start + len(samples)] += samples
    mixed = background_noise(rng, lead + count) * np.float32(
        0.08 * 10 ** (rng.uniform(*NOISE_DB) / 20)
    )
    mixed[lead:] += np.sum(spoken, axis=0)
    peak = float(np.abs(mixed).max())
    gain = min(10 ** (rng.uniform(-9, 3) / 20), 0.97 / peak)
    return AudioTrack(tuple(utterances), np.asarray(mixed * gain, np.float32), tuple(spoken))


def background_noise(rng: np.random.Generator, count: int) -> FloatArray:
    """Noise [count] of unit RMS between white and brown, at times with a hum."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    frequency = np.fft.rfftfreq(count, 1 / AUDIO_RATE_HZ)
    spectrum *= 1 / np.maximum(frequency, 40) ** float(rng.uniform(0.2, 1.0))
    tone = np.fft.irfft(spectrum, count)
    tone /= np.sqrt((tone**2).mean()) + 1e-12
    if rng.random() < 0.25:
        tone += 0.7 * np.sin(
            2 * np.pi * float(rng.choice([50.0, 100.0, 120.0])) * np.arange(count) / AUDIO_RATE_HZ
        )
    return np.asarray(tone / np.sqrt((tone**2).mean()), np.float32)
