"""The mel power of a whole audio, computed once, and the pieces of it that belong to frames."""

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
    frames_of,
    mel_power,
    normalized_db,
    samples_until,
    steady_db,
)
from faceaffect.audio.open_media import SilentVideoError, UnreadableMediaError
from training.audio.audio_file import Audio, read_audio

WINDOW_S: Final = 10.0
"""Length of the piece around a frame: five seconds before it and five after."""
_NO_AUDIO: Final = np.zeros(
    1, np.float32
)  # what is kept of a file without audio: one dimension instead of two


@dataclass(frozen=True, slots=True)
class MelTrack:
    """Mel power [F, bands] of an audio; frame j lies j hops after the audio's first sample.

    Pieces are cut out of the whole track, so at their edges they see the audio that goes on
    there. Before its start and after its end there is silence of full length: a piece never
    shrinks or shifts.
    """

    power: NDArray[np.float32]
    config: MelConfig

    @classmethod
    def from_audio(cls, audio: Audio, config: MelConfig | None = None) -> MelTrack:
        chosen = config or MelConfig()
        if audio.rate_hz != chosen.rate_hz:
            raise ValueError(
                f"the audio has {audio.rate_hz} Hz, the front end wants {chosen.rate_hz}: read it at that rate"
            )
        return cls(mel_power(audio.samples, chosen), chosen)

    def window_around(
        self, offset_s: float, before_s: float = WINDOW_S / 2, after_s: float = WINDOW_S / 2
    ) -> NDArray[np.float32]:
        """The piece about a frame, [bands, frames]: 64 x 1001 for five seconds to both sides.

        Args:
            offset_s: the frame's time in the audio (`audio_offset_s`); may lie outside of it.
            before_s, after_s: how far the piece reaches; a live system takes `after_s` = 0.
        """
        if not np.isfinite(offset_s):
            raise ValueError(f"the frame's time in the audio must be a number, got {offset_s}")
        hop_s = self.config.hop_s
        middle = round(offset_s / hop_s)
        first, last = middle - round(before_s / hop_s), middle + round(after_s / hop_s)
        return normalized_db(self._cut(first, last + 1), self.config)

    def window_between(self, start_s: float, end_s: float, frames: int) -> NDArray[np.float32]:
        """The piece from `start_s` to `end_s` brought to [bands, frames] by the nearest frame (for
        sequences of frames).
        """
        if not (np.isfinite(start_s) and np.isfinite(end_s)) or end_s <= start_s:
            raise ValueError(f"a piece must have a length, got {start_s} to {end_s} s")
        hop_s = self.config.hop_s
        first = round(start_s / hop_s)
        count = max(1, round((end_s - start_s) / hop_s))
        piece = normalized_db(self._cut(first, first + count), self.config)
        return piece[:, nearest(count, frames)]

    def frames_available(self, offset_s: float) -> int:
        """How many mel frames a live system knows at a frame; less the first of a piece, that is
        M2's `mel_index`.
        """
        return frames_of(samples_until(offset_s, self.config.rate_hz), self.config)

    def latest_frames(self, offset_s: float, frames: int) -> NDArray[np.float32]:
        """The last `frames` mel frames that a network which follows a video hears at a frame,
        [bands, frames]: up to the last whole step of 100 ms.
        """
        end = self.frames_available(offset_s) // STEP_FRAMES * STEP_FRAMES
        return normalized_db(self._cut(end - frames, end), self.config)

    def chunk(self, first: int, end: int) -> NDArray[np.float32]:
        """Mel frames `first` to `end` for a network that hears stretch by stretch, [frames, bands]."""
        return steady_db(self._cut(first, end), self.config)

    def silence(self, frames: int) -> NDArray[np.float32]:
        """A piece of `frames` frames without audio [bands, frames]."""
        return normalized_db(np.zeros((frames, self.config.bands), np.float32), self.config)

    def _cut(self, first: int, end: int) -> NDArray[np.float32]:
        piece = np.zeros((end - first, self.config.bands), np.float32)
        inside = slice(max(first, 0), min(end, len(self.power)))
        if inside.start < inside.stop:
            piece[inside.start - first : inside.stop - first] = self.power[inside]
        return piece


def nearest(count: int, wanted: int) -> NDArray[np.int64]:
    """Which of `count` places each of `wanted` is nearest to, center to center (as a nearest resize
    does).
    """
    return np.minimum((np.arange(wanted) + 0.5) * count / wanted, count - 1).astype(np.int64)


@dataclass(slots=True)
class MelTracks:
    """Tracks of media files, the last `kept` ones held; None for a file without audio. Threads may
    share one.

    With a `folder`, mel power is kept there and only mapped into memory: rows drawn at random
    out of a thousand videos would otherwise have each audio decoded again and again. (All of
    Aff-Wild2 takes about 2.5 GB.)
    """

    config: MelConfig = field(default_factory=MelConfig)
    max_cached: int = 16
    folder: Path | None = None
    _tracks: OrderedDict[Path, MelTrack | None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: Path) -> MelTrack | None:
        with self._lock:
            if path in self._tracks:
                self._tracks.move_to_end(path)
                return self._tracks[path]
            self._tracks[path] = self._kept(path)
            if len(self._tracks) > self.max_cached:
                self._tracks.popitem(last=False)
            return self._tracks[path]

    def _kept(self, path: Path) -> MelTrack | None:
        if self.folder is None:
            return self._read(path)
        stat = path.stat()
        about = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{self.config}"
        file = self.folder / f"{path.stem}-{hashlib.sha256(about.encode()).hexdigest()[:16]}.npy"
        if not file.is_file():
            track = self._read(path)
            power = _NO_AUDIO if track is None else track.power
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
            with partial.open("wb") as out:
                np.save(out, power, allow_pickle=False)
            os.replace(partial, file)
        kept = np.load(file, mmap_mode="r", allow_pickle=False)
        return None if kept.ndim == _NO_AUDIO.ndim else MelTrack(kept, self.config)

    def _read(self, path: Path) -> MelTrack | None:
        try:
            return MelTrack.from_audio(read_audio(path, self.config.rate_hz), self.config)
        except (SilentVideoError, UnreadableMediaError):
            return None
