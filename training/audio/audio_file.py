"""Audio as one mono signal at one rate, in step with the container's clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceaffect.audio.audio_chunks import AudioChunks
from faceaffect.audio.open_media import NoAudioTrackError, UnreadableMediaError, open_media


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono samples [n] in about -1..1; sample k is heard at `start_s + k / rate_hz` of the
    container's clock.
    """

    samples: NDArray[np.float32]
    rate_hz: int
    start_s: float

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


def read_audio(path: Path, rate_hz: int) -> Audio:
    """All audio of a video or audio file at `rate_hz`; channels are averaged, holes between packets
    become silence.

    A file whose audio breaks off is read up to there.

    Raises:
        FileNotFoundError, UnreadableMediaError, NoAudioTrackError
    """
    with open_media(path) as container:
        if not container.streams.audio:
            raise NoAudioTrackError(f"{path} has no audio track")
        stream = AudioChunks(container, rate_hz)
        pieces = list(stream)
    if not pieces:
        reason = f" ({stream.error})" if stream.error else ""
        raise UnreadableMediaError(
            f"{path} has an audio track without a sample that can be read{reason}"
        )
    total = np.zeros(pieces[-1].start + len(pieces[-1].samples), np.float32)
    for piece in pieces:
        total[piece.start : piece.start + len(piece.samples)] = piece.samples
    return Audio(total, rate_hz, pieces[0].start_s)
