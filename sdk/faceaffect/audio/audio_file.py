"""The audio of a video or audio file, decoded as far as the frames have come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.audio.audio_chunks import AudioChunk, AudioChunks
from faceaffect.audio.audio_source import AudioError
from faceaffect.audio.mel import sample_count
from faceaffect.audio.open_media import NoAudioTrackError, UnreadableMediaError, open_media
from faceaffect.types import FloatArray

_EARLY_S: Final = 0.5  # audio that ends so much before the frames do is worth a word


class AudioFile:
    """Sample 0 is the file's first; a video's frames count from its own first, so that both start
    times are made up for.

    Before the audio begins nothing is heard, after its end, and where it breaks off, silence.
    """

    def __init__(self, path: str | Path, rate_hz: int) -> None:
        self.name, self.rate_hz = str(path), rate_hz
        self.notes: list[str] = []
        self._stack = ExitStack()
        try:
            container = self._stack.enter_context(open_media(Path(path)))
            if not container.streams.audio:
                raise AudioError(f"{path}: no audio track")
            self._stream = AudioChunks(container, rate_hz)
            self._pieces: Iterator[AudioChunk] = iter(self._stream)
            self._next: AudioChunk | None = next(self._pieces, None)
            if self._next is None:
                why = self._stream.error or "it is empty"
                raise AudioError(f"{path}: no sample of its audio track can be read ({why})")
            self._ahead_s = _first_frame_s(container, self._next.start_s) - self._next.start_s
        except (NoAudioTrackError, UnreadableMediaError, OSError) as error:
            self._stack.close()
            raise AudioError(f"{error}") from None
        except BaseException:
            self._stack.close()
            raise
        self._given = self._decoded = 0
        self._asked_s = 0.0
        self._ready = np.zeros(0, np.float32)

    def read_until(self, time_s: float) -> FloatArray:
        self._asked_s = max(self._asked_s, time_s)
        count = sample_count(time_s + self._ahead_s, self.rate_hz) - self._given
        if count <= 0:
            return np.zeros(0, np.float32)
        parts, have = [self._ready], len(self._ready)
        while have < count and self._next is not None:
            parts += [
                np.zeros(self._next.start - self._given - have, np.float32),
                self._next.samples,
            ]
            have = self._next.start - self._given + len(self._next.samples)
            self._decoded = self._given + have
            self._next = next(self._pieces, None)
        parts.append(np.zeros(max(0, count - have), np.float32))
        samples = np.concatenate(parts)
        self._given, self._ready = self._given + count, samples[count:]
        return samples[:count]

    def close(self) -> None:
        self._stack.close()
        if self._next is not None:
            return
        end_s = self._decoded / self.rate_hz - self._ahead_s
        if self._stream.error:
            self.notes.append(
                f"{self.name}: the audio breaks off at {end_s:.1f} s ({self._stream.error}); silence from there on"
            )
        elif self._asked_s > end_s + _EARLY_S:
            self.notes.append(
                f"{self.name}: the audio ends at {end_s:.1f} s; silence from there on"
            )
        self._stream.error, self._asked_s = "", 0.0  # said once


def _first_frame_s(container: Any, audio_start_s: float) -> float:
    """Where a video's first frame lies on the container's clock; a file of audio alone begins with
    the frames.
    """
    for stream in container.streams.video:
        if stream.start_time is not None:
            return float(stream.start_time * stream.time_base)
        return 0.0
    return audio_start_s
