"""Images and videos that would fill the memory, or block."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Generator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import faceaffect
from faceaffect.sources import SourceError, SourceOptions, animated_image, open_source, prefetch
from faceaffect.sources.read_image import read_image
from faceaffect.system.path_text import printable_text
from faceaffect.types import Frame

SDK = Path(next(iter(faceaffect.__path__))).parent


def png_of_zeros(path: Path, width_px: int, height_px: int, bits: int = 1, color: int = 0) -> Path:
    """A PNG that compresses a thousandfold; `color` is 0 for gray and 6 for RGBA."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    channels = 4 if color == 6 else 1
    rows = zlib.compress(bytes((width_px * bits * channels // 8 + 1) * height_px), 9)
    header = struct.pack(">IIBBBBB", width_px, height_px, bits, color, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(png + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
PROGRAM = """
import sys
from pathlib import Path
from faceaffect.sources import SourceError, open_source
try:
    next(iter(open_source(sys.argv[1])))
except SourceError as error:
    print(error)
# ru_maxrss would be at least the memory of the process that started this one.
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


def read_alone(path: Path) -> tuple[str, int]:
    """Read an image in another process; returns its error and its largest memory in KiB."""
    environment = {**os.environ, "PYTHONPATH": str(SDK)}
    environment.pop("OPENCV_IO_MAX_IMAGE_PIXELS", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, env=environment
    )
    *error, peak_kib = done.stdout.splitlines()
    return "".join(error), int(peak_kib)


@linux
def test_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    bomb = png_of_zeros(tmp_path / "bomb.png", 32000, 33000)
    assert bomb.stat().st_size < 200_000
    message, peak_kib = read_alone(bomb)
    assert "expected at most 67108864 pixels" in message
    assert peak_kib < 500_000, "decoding takes 2 GB"


@linux
def test_memory_of_a_deep_transparent_image_is_bounded(tmp_path: Path) -> None:
    small = read_alone(png_of_zeros(tmp_path / "small.png", 64, 64, 16, 6))
    large = read_alone(png_of_zeros(tmp_path / "large.png", 4096, 4096, 16, 6))
    assert small[0] == large[0] == ""
    per_pixel = (large[1] - small[1]) * 1024 / 4096**2
    assert 8 < per_pixel < 18, "8 bytes as decoded; intermediate results double it"


def test_memory_of_prefetched_frames_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame(np.zeros((100, 100, 3), np.uint8))
    monkeypatch.setattr(prefetch, "MAX_BUFFER_BYTES", 2 * frame.pixels.nbytes)
    made: list[int] = []

    def frames() -> Generator[Frame, None, None]:
        for number in range(8):
            made.append(number)
            yield frame

    prefetcher = prefetch.FramePrefetcher(frames(), prefetch_frames=6)
    end_s = time.monotonic() + 0.5
    while time.monotonic() < end_s and len(made) < 8:
        time.sleep(0.02)
    assert len(made) == 3, "two wait in the buffer, one for its place"
    assert len(list(prefetcher)) == 8
    prefetcher.close()


def test_image_above_max_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((40, 50, 3), np.uint8))
    assert read_image(path, 2000)[0].shape == (40, 50, 3)
    with pytest.raises(SourceError, match=r"at most 1999 pixels, got 50 x 40; raise --max-pixels"):
        read_image(path, 1999)
    with pytest.raises(SourceError, match="at most 1999 pixels"):
        open_source(path, SourceOptions(max_pixels=1999))


def test_video_above_max_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 25.0, (96, 64))
    for _ in range(3):
        writer.write(np.zeros((64, 96, 3), np.uint8))
    writer.release()
    open_source(path).close()
    with pytest.raises(SourceError, match="at most 6000 pixels, got 96 x 64"):
        open_source(path, SourceOptions(max_pixels=6000))


def encode_h264(width_px: int, height_px: int, frames: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        for _ in range(frames):
            image = av.VideoFrame.from_ndarray(np.zeros((height_px, width_px, 3), np.uint8))
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return buffer.getvalue()


def test_frames_that_grow_above_max_pixels_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "grows.h264"
    path.write_bytes(encode_h264(64, 64, 5) + encode_h264(640, 480, 5))
    with open_source(path) as source:
        assert {frame.pixels.shape[:2] for frame in source} == {(64, 64), (480, 640)}
    with open_source(path, SourceOptions(max_pixels=64 * 64)) as source:
        assert {frame.pixels.shape[:2] for frame in source} == {(64, 64)}
        assert "packets were left out" in " ".join(source.notes)


def test_long_animation_is_decoded_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not animated_image.can_read_animations():
        pytest.skip("needs an OpenCV that reads animated WebP")
    animation = cv2.Animation()
    animation.frames = [np.full((40, 50, 4), 12 * number + 10, np.uint8) for number in range(10)]
    animation.durations = np.arange(40, 50, dtype=np.int32)
    path = tmp_path / "a.webp"
    path.write_bytes(cv2.imencodeanimation(".webp", animation, [])[1].tobytes())
    with open_source(path) as source:
        at_once = [(frame.time_s, frame.pixels.tobytes()) for frame in source]
    monkeypatch.setattr(animated_image, "_MAX_PIXELS_AT_ONCE", 3 * 40 * 50)
    with open_source(path) as source:
        assert [(frame.time_s, frame.pixels.tobytes()) for frame in source] == at_once
    assert len(at_once) == 10
    with pytest.raises(SourceError, match="at most 1999 pixels"):
        open_source(path, SourceOptions(max_pixels=1999))


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_image_that_is_no_plain_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(SourceError, match="expected a plain file"):
        read_image(path)


def test_image_behind_a_link_is_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert read_image(tmp_path / "b.png")[0].shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.png", "plain name.png"),
        ("Grüße 顔 🙂", "Grüße 顔 🙂"),
        ("\x1b]0;PWNED\x07", r"\x1b]0;PWNED\x07"),
        ("\x1b[2Ja", r"\x1b[2Ja"),
        ("a\nb\rc", r"a\nb\rc"),
        ("\x9b2J", r"\x9b2J"),
        ("gnp.\u202eexe", r"gnp.\u202eexe"),
        ("\udcff", r"\udcff"),
        ("\u2028", r"\u2028"),
    ],
)
def test_printable_text_escapes_what_a_terminal_obeys(text: str, shown: str) -> None:
    assert printable_text(text) == shown
    assert printable_text(shown) == shown


def test_printable_text_of_a_card_keeps_its_lines() -> None:
    assert printable_text("# a\n\tb\x1b[0m\r\n", keeps_lines=True) == "# a\n\tb\\x1b[0m\\r\n"
