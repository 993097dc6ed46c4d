"""Sentences of the Berlin Database of Emotional Speech (Burkhardt et al. 2005)."""

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
"""One man and one woman used in validation videos only; both speak all seven emotions."""

MATCHING_VOICE_EMOTIONS: Final[dict[str, tuple[str, ...]]] = {
    "neutral": ("neutral", "boredom"),
    "anger": ("anger",),
    "disgust": ("disgust",),
    "fear": ("fear",),
    "happiness": ("happiness",),
    "sadness": ("sadness",),
    "surprise": ("happiness", "fear"),
}
"""Emotions of the voice that match an expression. The database has no surprise; the two voices of
high arousal replace it, according to the coordinates of surprise in `emotion_to_va.COORDINATES`.
"""

SPEECH_RMS: Final[float] = 0.08
SILENCE_RMS_FRACTION: Final[float] = 0.02


@dataclass(frozen=True, slots=True)
class Sentence:
    """One recording."""

    file: str
    speaker: str
    emotion: str


@dataclass(slots=True)
class VoiceCorpus:
    """All sentences of the database, with a cache of decoded ones."""

    folder: Path
    sentences: list[Sentence]
    _audio: dict[str, FloatArray] = field(default_factory=dict)

    def speakers(self, is_female: bool, is_validation: bool) -> list[str]:
        """Returns the speakers of one sex and split, sorted."""
        speakers = {sentence.speaker for sentence in self.sentences}
        return sorted(
            s
            for s in speakers
            if (s in FEMALE_SPEAKERS) == is_female and (s in VALIDATION_SPEAKERS) == is_validation
        )

    def select(self, speaker: str, emotions: tuple[str, ...]) -> list[Sentence]:
        """Returns the sentences of a speaker in the given emotions."""
        return [s for s in self.sentences if s.speaker == speaker and s.emotion in emotions]

    def load_audio(self, sentence: Sentence) -> FloatArray:
        """Returns samples [m] at `AUDIO_RATE_HZ`, trimmed and normalized to `SPEECH_RMS`."""
        if sentence.file not in self._audio:
            self._audio[sentence.file] = _trim(
                read_audio(self.folder / sentence.file, AUDIO_RATE_HZ).samples
            )
        return self._audio[sentence.file]


def open_voice_corpus(data_dir: Path) -> VoiceCorpus:
    """Opens the corpus in `data_dir/emodb`; raises FileNotFoundError if it is missing."""
    folder = data_dir / "emodb"
    table = folder / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"expected labels.csv (columns file, speaker, emotion) and recordings in {folder}, "
            "got none; give the parent folder with --data"
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
    loud = np.flatnonzero(rms > SILENCE_RMS_FRACTION * np.quantile(rms, 0.95))
    cut = samples[loud[0] * block : (loud[-1] + 1) * block]
    return np.asarray(cut * (SPEECH_RMS / np.sqrt((cut**2).mean() + 1e-12)), np.float32)
