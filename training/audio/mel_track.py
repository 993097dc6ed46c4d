"""Mel power of an audio track, computed once, and the windows of it that belong to frames."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.audio.mel import (
    STEP_FRAMES,
    MelConfig,
    fixed_floor_db,
    frame_count,
    mel_power,
    normalized_db,
    sample_count,
)
from faceaffect.audio.open_media import NoAudioTrackError, UnreadableMediaError
from training.audio.audio_file import Audio, read_audio

WINDOW_S: Final = 10.0
"""Length of the window around a frame: five seconds before it and five after."""
# Cached for a file without audio; recognized by its single dimension.
_NO_AUDIO: Final = np.zeros(1, np.float32)


@dataclass(frozen=True, slots=True)
class MelTrack:
    """Mel power [F, bands] of an audio track; mel frame j is j hops after the first sample.

    Windows are slices of the full track, so there is no boundary effect at their edges. Beyond
    the start and the end of the track they are padded with silence to full length.
    """

    power: NDArray[np.float32]
    config: MelConfig

    @classmethod
    def from_audio(cls, audio: Audio, config: MelConfig | None = None) -> MelTrack:
        """Compute the track; ValueError if the sample rate is not that of `config`."""
        config = config or MelConfig()
        if audio.rate_hz != config.rate_hz:
            raise ValueError(
                f"expected audio at {config.rate_hz} Hz, got {audio.rate_hz} Hz; "
                "read it at that rate"
            )
        return cls(mel_power(audio.samples, config), config)

    def window_around(
        self, offset_s: float, before_s: float = WINDOW_S / 2, after_s: float = WINDOW_S / 2
    ) -> NDArray[np.float32]:
        """Normalized window around a frame, [bands, frames]: 64 x 1001 for 5 s on either side.

        Args:
            offset_s: time of the frame in the audio (`audio_offset_s`); may be outside of it.
            before_s: length before the frame.
            after_s: length after the frame; 0 for a live system.
        """
        if not np.isfinite(offset_s):
            raise ValueError(f"expected a finite time of the frame in the audio, got {offset_s}")
        hop_s = self.config.hop_s
        center = round(offset_s / hop_s)
        first = center - round(before_s / hop_s)
        last = center + round(after_s / hop_s)
        return normalized_db(self._slice(first, last + 1), self.config)

    def window_between(self, start_s: float, end_s: float, frames: int) -> NDArray[np.float32]:
        """Normalized window from `start_s` to `end_s`, resized to [bands, frames] (nearest)."""
        if not (np.isfinite(start_s) and np.isfinite(end_s)) or end_s <= start_s:
            raise ValueError(f"expected start_s < end_s, got {start_s} to {end_s} s")
        hop_s = self.config.hop_s
        first = round(start_s / hop_s)
        count = max(1, round((end_s - start_s) / hop_s))
        window = normalized_db(self._slice(first, first + count), self.config)
        return window[:, nearest_indices(count, frames)]

    def frames_available(self, offset_s: float) -> int:
        """Number of mel frames that a live system has computed by `offset_s`."""
        return frame_count(sample_count(offset_s, self.config.rate_hz), self.config)

    def latest_frames(self, offset_s: float, frames: int) -> NDArray[np.float32]:
        """Normalized last `frames` mel frames [bands, frames] that a streaming network has.

        They end with the last complete 100 ms step before `offset_s`.
        """
        end = self.frames_available(offset_s) // STEP_FRAMES * STEP_FRAMES
        return normalized_db(self._slice(end - frames, end), self.config)

    def chunk(self, first: int, end: int) -> NDArray[np.float32]:
        """Mel frames `first` to `end`, [frames, bands], for a network that streams audio."""
        return fixed_floor_db(self._slice(first, end), self.config)

    def silence(self, frames: int) -> NDArray[np.float32]:
        """Normalized window without audio, [bands, frames]."""
        return normalized_db(np.zeros((frames, self.config.bands), np.float32), self.config)

    def _slice(self, first: int, end: int) -> NDArray[np.float32]:
        """Power of mel frames `first` to `end`, zero outside the track."""
        window = np.zeros((end - first, self.config.bands), np.float32)
        inside = slice(max(first, 0), min(end, len(self.power)))
        if inside.start < inside.stop:
            window[inside.start - first : inside.stop - first] = self.power[inside]
        return window


def nearest_indices(count: int, size: int) -> NDArray[np.int64]:
    """Source index [size] of each element when `count` elements are resized by nearest neighbor."""
    return np.minimum((np.arange(size) + 0.5) * count / size, count - 1).astype(np.int64)


@dataclass(slots=True)
class MelTracks:
    """Thread-safe LRU cache of the tracks of media files; None for a file without audio.

    With a `folder`, mel power is stored there and memory-mapped: rows drawn at random from a
    thousand videos would otherwise decode each audio track over and over. (All of Aff-Wild2 takes
    about 2.5 GB.)
    """

    config: MelConfig = field(default_factory=MelConfig)
    max_cached: int = 16
    folder: Path | None = None
    _tracks: OrderedDict[Path, MelTrack | None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: Path) -> MelTrack | None:
        """The track of a file, or None if it has no readable audio."""
        with self._lock:
            if path in self._tracks:
                self._tracks.move_to_end(path)
                return self._tracks[path]
            self._tracks[path] = self._load(path)
            if len(self._tracks) > self.max_cached:
                self._tracks.popitem(last=False)
            return self._tracks[path]

    def _load(self, path: Path) -> MelTrack | None:
        if self.folder is None:
            return self._read(path)
        stat = path.stat()
        key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{self.config}"
        file = self.folder / f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
        if not file.is_file():
            track = self._read(path)
            power = _NO_AUDIO if track is None else track.power
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
            with partial.open("wb") as out:
                np.save(out, power, allow_pickle=False)
            os.replace(partial, file)
        power = np.load(file, mmap_mode="r", allow_pickle=False)
        return None if power.ndim == _NO_AUDIO.ndim else MelTrack(power, self.config)

    def _read(self, path: Path) -> MelTrack | None:
        try:
            return MelTrack.from_audio(read_audio(path, self.config.rate_hz), self.config)
        except (NoAudioTrackError, UnreadableMediaError):
            return None
