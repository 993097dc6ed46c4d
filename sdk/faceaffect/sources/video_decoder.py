"""Decodes the frames of a container, with their presentation times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from faceaffect.sources.display_filter import DecodedFrame, DisplayFilter, DisplayGeometry
from faceaffect.sources.import_pyav import import_pyav
from faceaffect.sources.media_container import has_no_time_stamps, start_s
from faceaffect.sources.source import DEFAULT_MAX_VIDEO_PIXELS
from faceaffect.system.cpu_count import cpu_count

_DEFAULT_RATE_FPS: Final = 25.0  # FFmpeg's own for bare streams
_MAX_RATE_FPS: Final = 1000.0
_MAX_FRAMES: Final = 10**9
_MAX_THREADS: Final = 16
_MAX_PIXELS_OF_THREADS: Final = 1 << 28  # each thread holds an image
_MAX_PIXELS_OF_SMALL_IMAGES: Final = 400_000  # decoding one takes no longer than its analysis
_MAX_ERRORS_IN_A_ROW: Final = 1000  # packets; then nothing more will come
_COMPLETE_FRACTION: Final = 0.99
_HDR_CURVES: Final = {16: "PQ", 18: "HLG"}  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67


class VideoDecoder:
    """Frames of a video stream in presentation order, as a player shows them.

    Times count from the container's start, so that a stream that begins late keeps its distance
    to the audio; they never run backwards. Bare streams have no times: their frames are counted.

    Attributes:
        fps: nominal frame rate; None if unknown.
        frame_count: number of frames that the header declares or lets expect; None if unknown.
        notes: remarks for the user.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        name: str,
        rate_fps: float | None = None,
        *,
        max_pixels: int = DEFAULT_MAX_VIDEO_PIXELS,
        is_live: bool = False,
    ) -> None:
        """Prepare to decode `stream` of `container`.

        Args:
            container: an open container.
            stream: one of its video streams.
            name: name for notes.
            rate_fps: frame rate of a bare stream.
            max_pixels: larger frames in mid-stream are not decoded.
            is_live: whether frames are timed by their arrival; then nothing may delay them.
        """
        self.notes: list[str] = []
        self._container = container
        self._stream = stream
        self._name = name
        self._start_s = start_s(container)
        self._filter = DisplayFilter()
        self._is_counted = has_no_time_stamps(container) and not is_live
        self.fps = self._counted_fps(rate_fps) if self._is_counted else _nominal_fps(stream)
        self.frame_count = _expected_frames(stream, self.fps)
        self._first_s: float | None = None
        self._next_number: int | None = 0
        self._end_s = 0.0
        self._offset_s = 0.0
        self._previous_s = 0.0
        self._lost = 0  # packets
        self._first_number = 0
        self._first_time_s = 0.0
        context = stream.codec_context
        pixels = max(1, (context.width or 1) * (context.height or 1))
        cores = cpu_count()
        if pixels <= _MAX_PIXELS_OF_SMALL_IMAGES:
            cores -= 1  # for the analysis, which the decoder would slow down without being ahead
        threads = min(cores, _MAX_THREADS, _MAX_PIXELS_OF_THREADS // pixels)
        context.thread_count = max(1, threads)
        context.thread_type = "SLICE" if is_live else "AUTO"
        context.options = {**context.options, "max_pixels": str(max_pixels)}
        self._opened_aspect = context.sample_aspect_ratio
        _discard_others(container, stream)

    @property
    def geometry(self) -> DisplayGeometry | None:
        """How the newest image was turned and scaled; None before the first one."""
        return self._filter.geometry

    def skip_until(self, number: int, time_s: float) -> bool:
        """Leave out the frames before `number` and `time_s`; they are hardly ever converted.

        Returns:
            Whether `frames` must be called anew, because the container was rewound or advanced.
        """
        self._first_number = number
        if time_s <= 0:
            return False
        half_frame_s = 0.5 / self.fps if self.fps else 0.0
        self._first_time_s = time_s - half_frame_s
        if self._is_counted or not self._seek(time_s):
            return False
        self._filter.reset()
        self._offset_s = self._previous_s = 0.0
        self._next_number = None
        return True

    def rewind(self) -> None:
        """Continue from the first frame; what `skip_until` leaves out stays left out."""
        self._seek(0.0)
        self._filter.reset()
        self._offset_s = self._previous_s = 0.0
        self._next_number = 0

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield the frames that are not skipped."""
        for frame in self._frames():
            time_s, number = self._identify(frame)
            if self._first_s is None:
                self._first_s = time_s
                self._note_color(frame)
            if self.is_skipped(number, time_s) and not frame.interlaced_frame:
                continue
            was_deinterlacing = self._filter.is_deinterlacing
            for image in self._filter.push(frame, self._aspect_ratio(), number, time_s):
                if not self.is_skipped(image.number, image.time_s):
                    yield image
            if self._filter.is_deinterlacing and not was_deinterlacing:
                self.notes.append(f"{self._name}: interlaced; deinterlaced by FFmpeg's bwdif")
        yield from self._filter.flush()
        self._note_losses()

    def is_skipped(self, number: int, time_s: float) -> bool:
        """Return whether `skip_until` leaves an image out."""
        return number < self._first_number or time_s < self._first_time_s

    def _seek(self, time_s: float) -> bool:
        av = import_pyav()
        try:
            self._container.seek(int((time_s + self._start_s) * 1e6))
        except (av.FFmpegError, OSError):  # a pipe
            return False
        return True

    def _frames(self) -> Iterator[Any]:
        """Yield decoded frames; damaged packets are left out."""
        av = import_pyav()
        errors_in_a_row = 0
        packets = self._container.demux(self._stream)
        while errors_in_a_row < _MAX_ERRORS_IN_A_ROW:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except (av.error.EOFError, StopIteration):
                return
            except av.FFmpegError as error:
                if not isinstance(error, av.error.InvalidDataError):
                    self.notes.append(f"{self._name}: reading ends early ({error.strerror})")
                    return
                self._lost += 1
                errors_in_a_row += 1
                continue
            errors_in_a_row = 0
            yield from frames

    def _identify(self, frame: Any) -> tuple[float, int]:
        """Return the time and the number of the next frame."""
        if self._next_number is None and self._first_s is not None:  # after seeking
            time_s = self._time_s(frame, 0)
            self._next_number = max(0, round((time_s - self._first_s) * (self.fps or 0.0)))
        else:
            time_s = self._time_s(frame, self._next_number or 0)
        number = self._next_number or 0
        self._next_number = number + 1
        self._previous_s = time_s
        self._end_s = time_s + (1 / self.fps if self.fps else 0.0)
        return time_s, number

    def _time_s(self, frame: Any, number: int) -> float:
        """Return a frame's time, which never runs backwards.

        Joined recordings start again at 0: they continue one frame later.
        """
        step_s = 1 / self.fps if self.fps else 0.0
        if self._is_counted:
            return number * step_s
        stamp = frame.dts if frame.pts is None else frame.pts  # .avi has decoding times only
        if stamp is None:
            return self._previous_s + (step_s if number else 0.0)
        container_s = float(stamp * self._stream.time_base) - self._start_s
        if container_s + self._offset_s < self._previous_s:
            self._offset_s = self._previous_s + step_s - container_s
        return max(container_s + self._offset_s, 0.0)

    def _aspect_ratio(self) -> Fraction:
        """Return the aspect ratio of a pixel: the container's, unless the stream's has changed."""
        current = self._stream.codec_context.sample_aspect_ratio
        if current == self._opened_aspect:
            current = self._stream.sample_aspect_ratio
        return Fraction(current) if current else Fraction(1)

    def _counted_fps(self, rate_fps: float | None) -> float:
        """Return the frame rate of a bare stream: the user's, the codec's or FFmpeg's."""
        if rate_fps is not None:
            return rate_fps
        declared = self._stream.codec_context.framerate
        if declared and 0 < declared < _MAX_RATE_FPS:
            return float(declared)
        self.notes.append(
            f"{self._name}: this bare stream has no time stamps; {_DEFAULT_RATE_FPS:g} frames per "
            "second are assumed, pass --rate (rate_fps) for another rate"
        )
        return _DEFAULT_RATE_FPS

    def _note_color(self, frame: Any) -> None:
        if curve := _HDR_CURVES.get(int(getattr(frame, "color_trc", 0))):
            self.notes.append(
                f"{self._name}: HDR ({curve}) without tone mapping: faces look paler than in a "
                "player"
            )

    def _note_losses(self) -> None:
        if self._lost:
            self.notes.append(f"{self._name}: {self._lost} damaged packets were left out")
        expected_s = _declared_end_s(self._stream, self._start_s)
        if expected_s is None or not self.fps:
            return
        if self._end_s - self._offset_s < min(
            expected_s * _COMPLETE_FRACTION, expected_s - 1.5 / self.fps
        ):
            self.notes.append(
                f"{self._name}: ended at {self._end_s:.2f} of {expected_s:.2f} s: the file looks "
                "truncated"
            )


def _discard_others(container: Any, stream: Any) -> None:
    """Save the work of reading the other streams; PyAV 13 cannot."""
    discard = getattr(import_pyav().stream, "Discard", None)
    for other in container.streams:
        if other is not stream and discard is not None:
            other.discard = discard.all


def _nominal_fps(stream: Any) -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate < _MAX_RATE_FPS:
            return float(rate)
    return None


def _expected_frames(stream: Any, fps: float | None) -> int | None:
    """Return the number of frames by the header: good for a progress bar, not for more."""
    count = stream.frames
    if not count and fps and stream.duration:
        count = round(float(stream.duration * stream.time_base) * fps)
    return count if 0 < count < _MAX_FRAMES else None


def _declared_end_s(stream: Any, container_start_s: float) -> float | None:
    """Return where the header of a container says that a stream ends; None if it does not."""
    if not stream.frames or stream.duration is None:  # a duration alone is often an estimate
        return None
    begin = stream.start_time or 0
    return float((begin + stream.duration) * stream.time_base) - container_start_s
