"""Audio of a source in its overlay: copied, or encoded again where its codec does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

from faceaffect.sources.import_pyav import import_pyav
from faceaffect.sources.media_container import open_file, start_s
from faceaffect.sources.source import SourceError, SourceOptions

_COPIED: Final = {
    "mp4": frozenset(["aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"]),
    "webm": frozenset(["opus", "vorbis"]),
    "avi": frozenset(["mp3", "ac3", "pcm_s16le", "pcm_u8"]),
    "matroska": frozenset(["aac", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "pcm_s16le"]),
}
_ENCODERS: Final = {"mp4": "aac", "webm": "libopus", "avi": "pcm_s16le", "matroska": "aac"}
_RATES_HZ: Final = {"libopus": 48_000}


class OverlayAudio:
    """Writes the audio of a file into an open container, piece by piece beside its frames."""

    def __init__(self, source: Any, output: Any, first_s: float) -> None:
        """Read from `source`, whose time `first_s` is 0 in `output`; see `open`."""
        self.notes: list[str] = []
        self._source = source
        self._output = output
        track = source.streams.audio[0]
        self._offset_s = start_s(source) + first_s
        name = output.format.name
        if track.codec_context.name in _COPIED.get(name, ()):
            self._stream = output.add_stream_from_template(track)
            self._packets = self._copied(track)
        else:
            encoder = _ENCODERS[name]
            rate_hz = _RATES_HZ.get(encoder, track.codec_context.sample_rate)
            self._stream = output.add_stream(encoder, rate=rate_hz, layout=track.layout.name)
            self._packets = self._encoded(track)
        self._next: Any = None

    @staticmethod
    def open(path: Path, output: Any, first_s: float) -> OverlayAudio | None:
        """Open the audio of a file; None if it has none that can be read.

        Args:
            path: The source.
            output: Container that is written to, before its first packet.
            first_s: Time of the first frame of the overlay.
        """
        av = import_pyav()
        try:
            source = open_file(path, SourceOptions())
        except SourceError:
            return None
        try:
            if not source.streams.audio or source.streams.audio[0].codec_context is None:
                source.close()
                return None
            return OverlayAudio(source, output, first_s)
        except (av.FFmpegError, ValueError):
            source.close()
            return None

    def write_until(self, time_s: float) -> None:
        """Write the audio from the last call to `time_s`, a time of the output."""
        av = import_pyav()
        try:
            while self._next is None or _time_s(self._next) <= time_s:
                if self._next is not None:
                    self._output.mux(self._next)
                self._next = next(self._packets, None)
                if self._next is None:
                    return
        except (av.error.InvalidDataError, av.error.EOFError) as error:
            self._packets = iter(())
            self._next = None
            self.notes.append(f"the audio of the overlay ends at {time_s:.1f} s ({error})")

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _copied(self, track: Any) -> Iterator[Any]:
        offset = round(self._offset_s / track.time_base)
        last = None
        for packet in self._source.demux(track):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts -= offset
            packet.dts -= offset
            if packet.pts < 0 or (last is not None and packet.dts <= last):
                continue  # before the first frame, or out of order
            last = packet.dts
            packet.stream = self._stream
            yield packet

    def _encoded(self, track: Any) -> Iterator[Any]:
        av = import_pyav()
        context = self._stream.codec_context
        if not context.is_open:
            context.open()  # the size of its frames is known then
        resampler = av.AudioResampler(
            format=context.format,
            layout=context.layout,
            rate=context.sample_rate,
            frame_size=context.frame_size or None,
        )
        written: int | None = None
        for frame in chain(self._source.decode(track), [None]):
            for piece in resampler.resample(frame):
                if written is None:
                    time_s = float(piece.pts * piece.time_base) if piece.pts is not None else 0.0
                    written = max(0, round((time_s - self._offset_s) * context.sample_rate))
                piece.pts, piece.time_base = written, context.time_base
                written += piece.samples
                yield from self._stream.encode(piece)
        yield from self._stream.encode(None)


def _time_s(packet: Any) -> float:
    return float(packet.pts * packet.time_base)
