"""Writes and reads videos with the `ffmpeg` and `ffprobe` programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.synthesis.head_mesh import FloatArray

AUDIO_RATE_HZ: Final[int] = 16_000
"""Sample rate of all audio arrays; files are written at 44.1 kHz."""


class VideoFileError(RuntimeError):
    """Error for missing or failing ffmpeg."""


def require_ffmpeg() -> None:
    """Raises VideoFileError if ffmpeg or ffprobe is not installed."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        raise VideoFileError(
            f"expected {' and '.join(missing)} on the PATH, got none; "
            "install ffmpeg (Debian: apt install ffmpeg)"
        )


def _run(command: list[str]) -> bytes:
    result = subprocess.run(command, capture_output=True)
    if result.returncode:
        message = result.stderr.decode(errors="replace").strip()[-600:]
        raise VideoFileError(f"{command[0]} failed on {command[-1]}: {message}")
    return result.stdout


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """Encoding parameters of a video file."""

    fps: int
    quality: int  # H.264 CRF: 18 is good, 32 is poor
    audio_start_s: float  # start of the audio relative to the first frame, multiple of a frame
    is_avi: bool


def _encode_command(
    path: Path, wav: Path, size_wh: tuple[int, int], options: EncodingOptions
) -> list[str]:
    """Returns the ffmpeg command that encodes raw frames from stdin with a WAV file."""
    offset_s = options.audio_start_s
    size = f"{size_wh[0]}x{size_wh[1]}"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", size, "-r", str(options.fps), "-i", "-"]
    command += ["-itsoffset", f"{offset_s:.3f}"] if offset_s > 0 else []
    command += ["-i", str(wav)]
    command += ["-vf", f"setpts=PTS+{-offset_s:.6f}/TB"] if offset_s < 0 else []
    command += ["-map", "0:v", "-map", "1:a"]
    if options.is_avi:
        command += ["-c:v", "mpeg4", "-q:v", str(max(2, options.quality // 5))]
        command += ["-c:a", "pcm_s16le"]
    else:
        command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(options.quality)]
        command += ["-c:a", "aac", "-b:a", "64k"]
    command += ["-pix_fmt", "yuv420p", "-ar", "44100", "-fps_mode", "passthrough"]
    # One thread and bit-exact flags make the file reproducible.
    command += ["-threads", "1", "-fflags", "+bitexact"]
    return [*command, "-flags:v", "+bitexact", "-flags:a", "+bitexact", str(path)]


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], audio: FloatArray, options: EncodingOptions
) -> None:
    """Writes RGB frames [H, W, 3] with mono samples at `AUDIO_RATE_HZ`; H and W must be even.

    If the audio starts before the first frame, the container's timestamps delay the frames. AVI has
    no such timestamps and allows no offset.
    """
    if options.is_avi and options.audio_start_s:
        raise ValueError(f"expected audio_start_s = 0 for AVI, got {options.audio_start_s}")
    rows = iter(frames)
    first = next(rows)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "audio.wav"
        _write_wav(wav, audio)
        command = _encode_command(path, wav, (first.shape[1], first.shape[0]), options)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            if process.stdin is None or process.stderr is None:
                raise VideoFileError("expected ffmpeg to have stdin and stderr pipes")
            try:
                process.stdin.write(np.ascontiguousarray(first).tobytes())
                for frame in rows:
                    process.stdin.write(np.ascontiguousarray(frame).tobytes())
                process.stdin.close()
            except BrokenPipeError:
                pass  # ffmpeg exited; its error message is reported below
            message = process.stderr.read().decode(errors="replace").strip()
        if process.returncode:
            raise VideoFileError(f"ffmpeg failed on {path}: {message[-600:]}")


def _write_wav(path: Path, audio: FloatArray) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(AUDIO_RATE_HZ)
        stream.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())


def read_frames(path: Path, size_wh: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Yields the RGB frames [H, W, 3] of a video, each once regardless of its timestamp."""
    width, height = size_wh
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-an", "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    frame_bytes = width * height * 3
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if process.stdout is None:
            raise VideoFileError("expected ffmpeg to have a stdout pipe")
        while len(raw := process.stdout.read(frame_bytes)) == frame_bytes:
            yield np.frombuffer(raw, np.uint8).reshape(height, width, 3)
    if process.returncode:
        raise VideoFileError(f"ffmpeg failed to decode {path}")


def stream_starts(path: Path) -> dict[str, float]:
    """Returns start times in seconds of the first "video" and "audio" stream."""
    command = ["ffprobe", "-loglevel", "error", "-show_entries", "stream=codec_type,start_time"]
    command += ["-of", "json", str(path)]
    streams = json.loads(_run(command))["streams"]
    return {stream["codec_type"]: float(stream["start_time"]) for stream in reversed(streams)}
