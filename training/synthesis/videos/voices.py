"""Spoken sentences of the Berlin Database of Emotional Speech (Burkhardt et al. 2005), by speaker
and emotion.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from training.audio.audio_file import read_audio
from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.video_file import AUDIO_RATE_HZ

FEMALE_SPEAKERS: Final = frozenset({"08", "09", "13", "14", "16"})
VALIDATION_SPEAKERS: Final = frozenset({"12", "13"})
"""One man and one woman who are heard in validation videos only; both speak all seven emotions."""

FITTING_VOICES: Final[dict[str, tuple[str, ...]]] = {
    "neutral": ("neutral", "boredom"),
    "anger": ("anger",),
    "disgust": ("disgust",),
    "fear": ("fear",),
    "happiness": ("happiness",),
    "sadness": ("sadness",),
    "surprise": ("happiness", "fear"),
}
"""Emotions of the voice that fit an expression. The database has no surprise: the two voices of
high arousal stand in, as `circumplex.COORDINATES` places surprise.
"""

SPEECH_RMS: Final[float] = 0.08
EDGE_RMS_SHARE: Final[float] = 0.02


@dataclass(frozen=True, slots=True)
class Sentence:
    """One recording."""

    file: str
    speaker: str
    emotion: str


@dataclass(slots=True)
class VoiceCorpus:
    """All sentences; decoded ones are kept."""

    folder: Path
    sentences: list[Sentence]
    _audio: dict[str, FloatArray] = field(default_factory=dict)

    def speakers(self, is_female: bool, is_validation: bool) -> list[str]:
        """Speakers of one sex on one side of the split, sorted."""
        known = {sentence.speaker for sentence in self.sentences}
        return sorted(
            s
            for s in known
            if (s in FEMALE_SPEAKERS) == is_female and (s in VALIDATION_SPEAKERS) == is_validation
        )

    def of(self, speaker: str, emotions: tuple[str, ...]) -> list[Sentence]:
        """What a speaker says in some emotions."""
        return [s for s in self.sentences if s.speaker == speaker and s.emotion in emotions]

    def audio(self, sentence: Sentence) -> FloatArray:
        """Samples [m] at `AUDIO_RATE_HZ`, silence at the ends cut, brought to one loudness."""
        if sentence.file not in self._audio:
            self._audio[sentence.file] = _trim(
                read_audio(self.folder / sentence.file, AUDIO_RATE_HZ).samples
            )
        return self._audio[sentence.file]


def open_voices(data_dir: Path) -> VoiceCorpus:
    """The shelf of `data_dir/emodb`; FileNotFoundError says what is missing."""
    folder = data_dir / "emodb"
    table = folder / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"voices must lie in {folder} (labels.csv with columns file, speaker, emotion, and the recordings), none found; "
            "give their parent folder with --data"
        )
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [
            Sentence(row["file"], row["speaker"], row["emotion"]) for row in csv.DictReader(stream)
        ]
    return VoiceCorpus(folder, sorted(rows, key=lambda sentence: sentence.file))


def _trim(samples: FloatArray) -> FloatArray:
    block = AUDIO_RATE_HZ // 100
    rms = np.sqrt(
        (samples[: len(samples) // block * block].reshape(-1, block) ** 2).mean(axis=1) + 1e-12
    )
    loud = np.flatnonzero(rms > EDGE_RMS_SHARE * np.quantile(rms, 0.95))
    cut = samples[loud[0] * block : (loud[-1] + 1) * block]
    return np.asarray(cut * (SPEECH_RMS / np.sqrt((cut**2).mean() + 1e-12)), np.float32)
