"""Composes the audio track of a video: utterances of each person over background noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.affect_track import EmotionSegment
from training.synthesis.videos.video_file import AUDIO_RATE_HZ
from training.synthesis.videos.voice_corpus import MATCHING_VOICE_EMOTIONS, Sentence, VoiceCorpus

LEAD_S: Final[float] = 0.6
"""Background noise before the first frame, for videos whose audio starts early."""

QUIET_PROBABILITY: Final[float] = 0.35
"""Probability of a video with little speech: lip-pressing AUs need a closed mouth."""

NOISE_DB: Final = (-46.0, -24.0)
"""Range of the noise level relative to the voice."""

FADE_S: Final[float] = 0.04

_CANDIDATES: Final[int] = 2
"""Number of sentences decoded to find one that fits into its segment."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence placed on the time axis of a video."""

    start_s: float
    end_s: float
    person: int  # index among the people of the video
    sentence: Sentence
    expression: str  # emotion of the face where the sentence starts
    gain: float


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """The mixed audio of a video and its parts."""

    utterances: tuple[Utterance, ...]
    mixed: FloatArray  # [m] samples from time -LEAD_S on
    speech: tuple[FloatArray, ...]  # clean samples of each person from time 0 on


@dataclass(frozen=True, slots=True)
class Speaker:
    """Voice and emotion segments of one person; `voice` is None for a silent person."""

    voice: str | None  # speaker of the corpus
    segments: list[EmotionSegment]


def choose_voice(
    rng: np.random.Generator, corpus: VoiceCorpus, pool: list[str], segments: list[EmotionSegment]
) -> str | None:
    """Samples a voice of `pool` with matching sentences for the most emotions of the segments."""
    if not pool:
        return None
    emotions = {segment.dominant for segment in segments}
    counts = [
        sum(bool(corpus.select(voice, MATCHING_VOICE_EMOTIONS[name])) for name in emotions)
        for voice in pool
    ]
    best = [voice for voice, count in zip(pool, counts, strict=True) if count == max(counts)]
    return str(rng.choice(best))


def compose_audio(
    rng: np.random.Generator,
    corpus: VoiceCorpus,
    speakers: list[Speaker],
    duration_s: float,
    is_mismatched: bool,
) -> AudioTrack:
    """Composes sequential utterances of alternating people.

    The emotion of each utterance matches the face, or never does if `is_mismatched`.
    """
    is_quiet = rng.random() < QUIET_PROBABILITY and duration_s > 4
    speaking = [k for k, speaker in enumerate(speakers) if speaker.voice is not None]
    utterances: list[Utterance] = []
    now_s = float(rng.uniform(0.1, 0.6)) * min(1.0, duration_s / 5)
    turn = int(rng.integers(0, 2))
    while speaking and now_s < duration_s - 0.8:
        person = speaking[turn % len(speaking)]
        utterance = _choose_utterance(
            rng, corpus, speakers[person], person, now_s, duration_s, is_mismatched, utterances
        )
        turn += 1
        if utterance is None:
            now_s += 0.5
            continue
        utterances.append(utterance)
        pause_s = rng.uniform(1.8, 4.5) if is_quiet else rng.lognormal(np.log(0.8), 0.5)
        now_s = utterance.end_s + float(pause_s)
    return _mix(rng, corpus, utterances, len(speakers), duration_s)


def _choose_utterance(
    rng: np.random.Generator,
    corpus: VoiceCorpus,
    speaker: Speaker,
    person: int,
    now_s: float,
    duration_s: float,
    is_mismatched: bool,
    previous: list[Utterance],
) -> Utterance | None:
    # The emotion that the sentence accompanies, not the fade before it.
    reference_s = min(now_s + 0.6, duration_s - 0.01)
    segment = next(
        (s for s in speaker.segments if s.start_s <= reference_s < s.end_s), speaker.segments[-1]
    )
    emotions = MATCHING_VOICE_EMOTIONS[segment.dominant]
    if is_mismatched:  # all wrong emotions are equally likely
        wrong = sorted({s.emotion for s in corpus.sentences} - set(emotions))
        emotions = (str(rng.choice(wrong)),)
    used = {utterance.sentence.file for utterance in previous}
    candidates = corpus.select(str(speaker.voice), emotions)
    candidates = [s for s in candidates if s.file not in used] or candidates
    if not candidates:
        return None
    order = rng.permutation(len(candidates))[:_CANDIDATES]
    available_s = min(duration_s, segment.end_s + 0.8) - now_s
    lengths_s = [len(corpus.load_audio(candidates[k])) / AUDIO_RATE_HZ for k in order]
    fitting = [i for i, length_s in enumerate(lengths_s) if length_s <= available_s]
    chosen = fitting[0] if fitting else int(np.argmin(lengths_s))
    end_s = min(now_s + lengths_s[chosen], duration_s)
    gain = 10 ** (float(rng.normal(0, 2.5)) / 20)
    return Utterance(now_s, end_s, person, candidates[order[chosen]], segment.dominant, gain)


def _mix(
    rng: np.random.Generator,
    corpus: VoiceCorpus,
    utterances: list[Utterance],
    people: int,
    duration_s: float,
) -> AudioTrack:
    count = round(duration_s * AUDIO_RATE_HZ)
    lead = round(LEAD_S * AUDIO_RATE_HZ)
    speech = [np.zeros(count, np.float32) for _ in range(people)]
    for utterance in utterances:
        start = round(utterance.start_s * AUDIO_RATE_HZ)
        samples = utterance.gain * corpus.load_audio(utterance.sentence)[: count - start]
        fade = min(len(samples), round(FADE_S * AUDIO_RATE_HZ))
        samples = samples.copy()
        samples[len(samples) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        speech[utterance.person][start : start + len(samples)] += samples
    mixed = background_noise(rng, lead + count) * np.float32(
        0.08 * 10 ** (rng.uniform(*NOISE_DB) / 20)
    )
    mixed[lead:] += np.sum(speech, axis=0)
    peak = float(np.abs(mixed).max())
    gain = min(10 ** (rng.uniform(-9, 3) / 20), 0.97 / peak)
    return AudioTrack(tuple(utterances), np.asarray(mixed * gain, np.float32), tuple(speech))


def background_noise(rng: np.random.Generator, count: int) -> FloatArray:
    """Generates noise [count] of unit RMS between white and brown, sometimes with mains hum."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    frequency = np.fft.rfftfreq(count, 1 / AUDIO_RATE_HZ)
    spectrum *= 1 / np.maximum(frequency, 40) ** float(rng.uniform(0.2, 1.0))
    noise = np.fft.irfft(spectrum, count)
    noise /= np.sqrt((noise**2).mean()) + 1e-12
    if rng.random() < 0.25:
        noise += 0.7 * np.sin(
            2 * np.pi * float(rng.choice([50.0, 100.0, 120.0])) * np.arange(count) / AUDIO_RATE_HZ
        )
    return np.asarray(noise / np.sqrt((noise**2).mean()), np.float32)
