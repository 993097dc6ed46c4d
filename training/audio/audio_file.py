"""Decodes the audio of a file to mono samples on the container's clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceaffect.audio.audio_chunks import AudioChunks
from faceaffect.audio.open_media import NoAudioTrackError, UnreadableMediaError, open_media


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono samples [n] in about -1..1; sample k is at `start_s + k / rate_hz` of the container."""

    samples: NDArray[np.float32]
    rate_hz: int
    start_s: float

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


def read_audio(path: Path, rate_hz: int) -> Audio:
    """Decode all audio of a video or audio file at `rate_hz`.

    Channels are averaged, gaps between packets become silence, and a truncated file is read up to
    the truncation.

    Raises:
        FileNotFoundError: the file does not exist.
        NoAudioTrackError: there is no audio track.
        UnreadableMediaError: no sample can be decoded.
    """
    with open_media(path) as container:
        if not container.streams.audio:
            raise NoAudioTrackError(f"{path} has no audio track")
        stream = AudioChunks(container, rate_hz)
        chunks = list(stream)
    if not chunks:
        reason = f" ({stream.error})" if stream.error else ""
        raise UnreadableMediaError(
            f"{path} has an audio track, but no sample can be decoded{reason}"
        )
    samples = np.zeros(chunks[-1].start + len(chunks[-1].samples), np.float32)
    for chunk in chunks:
        samples[chunk.start : chunk.start + len(chunk.samples)] = chunk.samples
    return Audio(samples, rate_hz, chunks[0].start_s)
