"""Videos with audio through the `ffmpeg` and `ffprobe` programs; audio is read by `training.audio`."""

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
"""Of every array of samples here; files are written at 44.1 kHz."""


class MovieError(RuntimeError):
    """ffmpeg is missing or refused."""


def require_ffmpeg() -> None:
    """Raise MovieError where the programs are missing."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        raise MovieError(
            f"writing videos needs {' and '.join(missing)} on the PATH; install ffmpeg (Debian: apt install ffmpeg)"
        )


def _run(command: list[str], given: bytes | None = None) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True)
    if done.returncode:
        raise MovieError(
            f"{command[0]} failed on {command[-1]}: {done.stderr.decode(errors='replace').strip()[-600:]}"
        )
    return done.stdout


@dataclass(frozen=True, slots=True)
class MovieStyle:
    """How a file is encoded."""

    fps: int
    quality: int  # of H.264 (crf): 18 is good, 32 is poor
    audio_start_s: float  # first audio after (or before) the first image, whole frames
    is_avi: bool


def write_movie(
    path: Path, frames: Iterable[NDArray[np.uint8]], audio: FloatArray, style: MovieStyle
) -> None:
    """Write RGB frames [H, W, 3] with mono samples at `AUDIO_RATE_HZ`; H and W must be even.

    `audio` begins at `audio_start_s` of the image's clock: an early one starts before the first
    frame, which is then shown late by the container's time stamps. An AVI cannot say so and
    takes no offset.
    """
    if style.is_avi and style.audio_start_s:
        raise ValueError(f"audio_start_s must be 0 in an AVI, got {style.audio_start_s}")
    rows = iter(frames)
    first = next(rows)
    late_image = (
        ["-vf", f"setpts=PTS+{-style.audio_start_s:.6f}/TB"] if style.audio_start_s < 0 else []
    )
    late_audio = ["-itsoffset", f"{style.audio_start_s:.3f}"] if style.audio_start_s > 0 else []
    size = f"{first.shape[1]}x{first.shape[0]}"
    image = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(style.fps), "-i", "-"]
    code = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        str(style.quality),
        "-c:a",
        "aac",
        "-b:a",
        "64k",
    ]
    if style.is_avi:
        code = ["-c:v", "mpeg4", "-q:v", str(max(2, style.quality // 5)), "-c:a", "pcm_s16le"]
    exact = [
        "-threads",
        "1",
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
        "-flags:a",
        "+bitexact",
    ]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "audio.wav"
        _write_wav(wav, audio)
        command = [
            "ffmpeg",
            "-y",
            "-loglevel",
            "error",
            *image,
            *late_audio,
            "-i",
            str(wav),
            *late_image,
        ]
        command += [
            "-map",
            "0:v",
            "-map",
            "1:a",
            *code,
            "-pix_fmt",
            "yuv420p",
            "-ar",
            "44100",
            "-fps_mode",
            "passthrough",
        ]
        with subprocess.Popen(
            [*command, *exact, str(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            if process.stdin is None or process.stderr is None:
                raise MovieError("ffmpeg must run with pipes")
            try:
                process.stdin.write(np.ascontiguousarray(first).tobytes())
                for frame in rows:
                    process.stdin.write(np.ascontiguousarray(frame).tobytes())
                process.stdin.close()
            except BrokenPipeError:
                pass  # its own words follow
            words = process.stderr.read().decode(errors="replace").strip()
        if process.returncode:
            raise MovieError(f"ffmpeg failed on {path}: {words[-600:]}")


def _write_wav(path: Path, audio: FloatArray) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(AUDIO_RATE_HZ)
        stream.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())


def read_frames(path: Path, size_wh: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """RGB frames [H, W, 3] of a video of known size, each once, whatever its time stamp."""
    width, height = size_wh
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-an", "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    frame_bytes = width * height * 3
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if process.stdout is None:
            raise MovieError("ffmpeg must run with pipes")
        while len(raw := process.stdout.read(frame_bytes)) == frame_bytes:
            yield np.frombuffer(raw, np.uint8).reshape(height, width, 3)
    if process.returncode:
        raise MovieError(f"ffmpeg could not decode {path}")


def stream_starts(path: Path) -> dict[str, float]:
    """Start times in seconds of the first video and audio stream, by "video" and "audio"."""
    command = [
        "ffprobe",
        "-loglevel",
        "error",
        "-show_entries",
        "stream=codec_type,start_time",
        "-of",
        "json",
        str(path),
    ]
    streams = json.loads(_run(command))["streams"]
    return {stream["codec_type"]: float(stream["start_time"]) for stream in reversed(streams)}
