"""Audio source for video and audio files, decoded as far as the frames have come."""

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
from faceaffect.sources.media_container import is_attached_picture, start_s
from faceaffect.types import FloatArray

_NOTED_GAP_S: Final = 0.5  # audio that ends this long before the frames is noted


class AudioFile:
    """Reads the audio track of a file.

    Both its samples and a video's frames are placed on the container's clock, which begins with
    the first of its streams. There are no samples before the track begins, and silence after its
    end or where it breaks off.
    """

    def __init__(self, path: str | Path, rate_hz: int) -> None:
        """Open the file and decode its first samples.

        Raises:
            AudioError: there is no audio that can be read.
        """
        self.name = str(path)
        self.rate_hz = rate_hz
        self.notes: list[str] = []
        self._stack = ExitStack()
        try:
            container = self._stack.enter_context(open_media(Path(path)))
            if not container.streams.audio:
                raise AudioError(f"{path}: no audio track")
            self._stream = AudioChunks(container, rate_hz)
            self._chunks: Iterator[AudioChunk] = iter(self._stream)
            self._next: AudioChunk | None = next(self._chunks, None)
            if self._next is None:
                reason = self._stream.error or "it is empty"
                raise AudioError(f"{path}: no sample of its audio track can be read ({reason})")
            self._lead_s = _start_s(container, self._next.start_s) - self._next.start_s
        except (NoAudioTrackError, UnreadableMediaError, OSError) as error:
            self._stack.close()
            raise AudioError(f"{error}") from None
        except BaseException:
            self._stack.close()
            raise
        self._returned = 0  # samples
        self._decoded = 0
        self._requested_s = 0.0
        self._buffer = np.zeros(0, np.float32)

    def read_until(self, time_s: float) -> FloatArray:
        """Return the samples [n] from the end of the last call to before `time_s`."""
        self._requested_s = max(self._requested_s, time_s)
        count = sample_count(time_s + self._lead_s, self.rate_hz) - self._returned
        if count <= 0:
            return np.zeros(0, np.float32)
        parts = [self._buffer]
        available = len(self._buffer)
        while available < count and self._next is not None:
            gap = self._next.start - self._returned - available
            parts += [np.zeros(gap, np.float32), self._next.samples]
            available += gap + len(self._next.samples)
            self._decoded = self._returned + available
            self._next = next(self._chunks, None)
        parts.append(np.zeros(max(0, count - available), np.float32))
        samples = np.concatenate(parts)
        self._returned += count
        self._buffer = samples[count:]
        return samples[:count]

    def close(self) -> None:
        """Close the file and note where the audio ended early."""
        self._stack.close()
        if self._next is not None:
            return
        end_s = self._decoded / self.rate_hz - self._lead_s
        if self._stream.error:
            self.notes.append(
                f"{self.name}: the audio breaks off at {end_s:.1f} s ({self._stream.error}); "
                "silence from there on"
            )
        elif self._requested_s > end_s + _NOTED_GAP_S:
            self.notes.append(
                f"{self.name}: the audio ends at {end_s:.1f} s; silence from there on"
            )
        self._stream.error = ""  # noted once, however often the file is closed
        self._requested_s = 0.0


def _start_s(container: Any, audio_start_s: float) -> float:
    """Return the container's time at which its frames count 0; the first sample without frames."""
    has_frames = any(not is_attached_picture(stream) for stream in container.streams.video)
    return start_s(container) if has_frames else audio_start_s
