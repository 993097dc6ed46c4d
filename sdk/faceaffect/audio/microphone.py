"""Microphone as an audio source beside a camera.

It is opened through PyAV, as files are: by ALSA on Linux.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from faceaffect.audio.audio_chunks import AudioChunk, AudioChunks
from faceaffect.audio.audio_source import AudioError
from faceaffect.sources.import_pyav import import_pyav
from faceaffect.types import FloatArray

_DEVICE_FORMATS: Final = {"linux": "alsa", "darwin": "avfoundation", "win32": "dshow"}
_DEFAULT_DEVICES: Final = {"linux": "default", "darwin": ":default", "win32": "audio=default"}
_BUFFER_S: Final = 10.0  # audio that is not fetched for longer is dropped
_JOIN_TIMEOUT_S: Final = 2.0


class Microphone:
    """Reads a microphone in a thread; frames get the audio from before they were taken.

    Sample times are the driver's, so that neither an audio card's clock nor a lost buffer shifts
    audio against frames.
    """

    def __init__(
        self,
        device: str,
        rate_hz: int,
        zero_s: float,
        open_device: Callable[[str], Any] | None = None,
    ) -> None:
        """Open a device.

        Args:
            device: name of the device; empty for the default.
            rate_hz: sample rate to resample to.
            zero_s: reading of `time.monotonic` at time 0 of the frames.
            open_device: returns the container of a device; PyAV's by default.

        Raises:
            AudioError: it cannot be opened.
        """
        self.name = f"microphone {device or 'default'}"
        self.rate_hz = rate_hz
        self.notes: list[str] = []
        # Devices stamp samples with the time of day.
        self._zero_s = time.time() - time.monotonic() + zero_s
        self._container = (open_device or _open_device)(device)
        self._buffer: deque[AudioChunk] = deque()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._buffered = 0  # samples
        self._dropped = 0
        self._end_reason = ""
        self._thread = threading.Thread(
            target=self._read, name="faceaffect-microphone", daemon=True
        )
        self._thread.start()

    def read_until(self, time_s: float) -> FloatArray:
        """Return the samples [n] from before `time_s` that have arrived and were not returned yet.

        Those that arrive later than their frame are returned with the next one.
        """
        parts: list[FloatArray] = []
        with self._lock:
            while self._buffer:
                chunk = self._buffer[0]
                count = round((time_s + self._zero_s - chunk.time_s) * self.rate_hz)
                if count <= 0:
                    break
                self._buffer.popleft()
                parts.append(chunk.samples[:count])
                if count < len(chunk.samples):
                    rest_s = chunk.time_s + count / self.rate_hz
                    self._buffer.appendleft(
                        AudioChunk(
                            chunk.start + count, chunk.start_s, chunk.samples[count:], rest_s
                        )
                    )
                    break
            self._buffered -= sum(map(len, parts))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def close(self) -> None:
        """Stop reading, release the device and note what was lost."""
        self._stop.set()
        self._thread.join(_JOIN_TIMEOUT_S)
        if self._end_reason:
            self.notes.append(
                f"{self.name}: it stopped ({self._end_reason}); no audio from there on"
            )
        if self._dropped:
            self.notes.append(
                f"{self.name}: {self._dropped / self.rate_hz:.1f} s were not fetched in time and "
                "were dropped"
            )
        self._end_reason = ""
        self._dropped = 0

    def _read(self) -> None:
        stream = AudioChunks(self._container, self.rate_hz)
        try:
            for chunk in stream:
                if self._stop.is_set():
                    return
                self._put(chunk)
            self._end_reason = stream.error or "its end was reached"
        except Exception as error:  # an error in a thread would be lost
            self._end_reason = f"{type(error).__name__}: {error}"
        finally:
            self._container.close()

    def _put(self, chunk: AudioChunk) -> None:
        with self._lock:
            self._buffer.append(chunk)
            self._buffered += len(chunk.samples)
            while self._buffered > _BUFFER_S * self.rate_hz:
                dropped = len(self._buffer.popleft().samples)
                self._buffered -= dropped
                self._dropped += dropped


def _open_device(device: str) -> Any:
    av = import_pyav()
    device_format = _DEVICE_FORMATS.get(sys.platform, "")
    if device_format not in av.formats_available:
        raise AudioError(
            f"microphone: this build of PyAV has no devices of {device_format or sys.platform}; "
            "pass an audio file"
        )
    try:
        return av.open(device or _DEFAULT_DEVICES[sys.platform], format=device_format)
    except (av.FFmpegError, OSError) as error:
        raise AudioError(
            f"microphone {device or 'default'}: cannot be opened ({error}); "
            "see `arecord -L` for names, or go without audio"
        ) from None
