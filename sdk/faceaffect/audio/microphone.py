"""A microphone beside a camera: a thread reads it, frames hear what was said before they were
taken.

It is opened through PyAV's devices (ALSA on Linux), so that the one extra `audio` serves files
and microphones.
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
from faceaffect.audio.open_media import require_pyav
from faceaffect.types import FloatArray

_DEVICE_FORMATS: Final = {"linux": "alsa", "darwin": "avfoundation", "win32": "dshow"}
_DEFAULTS: Final = {"linux": "default", "darwin": ":default", "win32": "audio=default"}
_KEPT_S: Final = 10.0  # what nobody fetches for longer is dropped
_JOIN_S: Final = 2.0


class Microphone:
    """Sample times are the driver's, so that neither an audio card's clock nor a lost buffer shifts
    audio against frames.

    `zero_s` is the moment of `time.monotonic` that the frames' clock counts from.
    """

    def __init__(
        self,
        device: str,
        rate_hz: int,
        zero_s: float,
        open_device: Callable[[str], Any] | None = None,
    ) -> None:
        self.name, self.rate_hz = f"microphone {device or 'default'}", rate_hz
        self.notes: list[str] = []
        # Devices stamp samples with the time of day.
        self._zero_s = time.time() - time.monotonic() + zero_s
        self._container = (open_device or _open_device)(device)
        self._ready: deque[AudioChunk] = deque()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._samples = self._dropped = 0
        self._ended = ""
        self._thread = threading.Thread(
            target=self._read, name="faceaffect-microphone", daemon=True
        )
        self._thread.start()

    def read_until(self, time_s: float) -> FloatArray:
        """What has arrived of the audio before `time_s`; what comes later than its frame is heard
        with the next one.
        """
        parts: list[FloatArray] = []
        with self._lock:
            while self._ready:
                piece = self._ready[0]
                count = round((time_s + self._zero_s - piece.time_s) * self.rate_hz)
                if count <= 0:
                    break
                self._ready.popleft()
                parts.append(piece.samples[:count])
                if count < len(piece.samples):
                    later = piece.time_s + count / self.rate_hz
                    self._ready.appendleft(
                        AudioChunk(piece.start + count, piece.start_s, piece.samples[count:], later)
                    )
                    break
            self._samples -= sum(map(len, parts))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(_JOIN_S)
        if self._ended:
            self.notes.append(
                f"{self.name}: it stopped ({self._ended}); nothing was heard from there on"
            )
        if self._dropped:
            self.notes.append(
                f"{self.name}: {self._dropped / self.rate_hz:.1f} s were not fetched in time and not heard"
            )
        self._ended, self._dropped = "", 0

    def _read(self) -> None:
        stream = AudioChunks(self._container, self.rate_hz)
        try:
            for piece in stream:
                if self._stop.is_set():
                    return
                self._keep(piece)
            self._ended = stream.error or "its end was reached"
        except Exception as error:  # a thread's error would be lost
            self._ended = f"{type(error).__name__}: {error}"
        finally:
            self._container.close()

    def _keep(self, piece: AudioChunk) -> None:
        with self._lock:
            self._ready.append(piece)
            self._samples += len(piece.samples)
            while self._samples > _KEPT_S * self.rate_hz:
                lost = len(self._ready.popleft().samples)
                self._samples, self._dropped = self._samples - lost, self._dropped + lost


def _open_device(device: str) -> Any:
    av = require_pyav()
    kind = _DEVICE_FORMATS.get(sys.platform, "")
    if kind not in av.formats_available:
        raise AudioError(
            f"microphone: PyAV's devices are wanted, this build has no {kind or sys.platform}; give a file of audio"
        )
    try:
        return av.open(device or _DEFAULTS[sys.platform], format=kind)
    except (av.FFmpegError, OSError) as error:
        raise AudioError(
            f"microphone {device or 'default'}: it cannot be opened ({error}); see `arecord -L` for names, or go without audio"
        ) from None
