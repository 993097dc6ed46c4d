"""Images and videos that would fill the memory, or block."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceaffect
from faceaffect.sources import SourceError, SourceOptions, open_source
from faceaffect.sources.read_image import read_image
from faceaffect.system.path_text import printable_text

SDK = Path(next(iter(faceaffect.__path__))).parent


def png_bomb(path: Path, width_px: int, height_px: int) -> Path:
    """A 1-bit PNG of zeros, which compresses a thousandfold."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    rows = zlib.compress(bytes((width_px // 8 + 1) * height_px), 9)
    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(png + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


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


def test_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    bomb = png_bomb(tmp_path / "bomb.png", 32000, 33000)
    assert bomb.stat().st_size < 200_000
    environment = {**os.environ, "PYTHONPATH": str(SDK)}
    environment.pop("OPENCV_IO_MAX_IMAGE_PIXELS", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(bomb)], capture_output=True, text=True, env=environment
    )
    message, peak_kib = done.stdout.splitlines()
    assert "expected at most 134217728 pixels" in message
    assert int(peak_kib) < 500_000, "decoding takes 2 GB"


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
