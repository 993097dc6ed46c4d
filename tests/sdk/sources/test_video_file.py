from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.sources import SourceError, SourceOptions, open_source
from faceaffect.sources.video_file import read_frame_at
from tests.sdk.sources.conftest import MakeVideo, number_of

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg not installed"
)


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def probed_times_s(path: Path) -> list[float]:
    shown = ["-show_entries", "frame=best_effort_timestamp_time", "-of", "json", str(path)]
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", *shown],
        check=True,
        capture_output=True,
    )
    return [
        float(frame["best_effort_timestamp_time"]) for frame in json.loads(out.stdout)["frames"]
    ]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.webm"])
def test_every_frame_comes_once_in_order(make_video: MakeVideo, name: str) -> None:
    with open_source(make_video(name, 40)) as source:
        frames = list(source)
        assert (source.size_px, source.is_live, source.is_sequence) == ((64, 48), False, True)
        assert source.fps == pytest.approx(25, abs=0.01)
        assert source.notes == []
    assert [frame.index for frame in frames] == list(range(40))
    assert max(abs(number_of(frame.pixels) - frame.index) for frame in frames) <= 1
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / 25, atol=2e-3)


@pytest.mark.parametrize("start_frame", [1, 17, 39, 40, 99])
def test_start_frame_is_exact(make_video: MakeVideo, start_frame: int) -> None:
    path = make_video(count=40)
    with open_source(path) as source:
        whole = list(source)
    with open_source(path, SourceOptions(start_frame=start_frame)) as source:
        rest = list(source)
    assert [frame.index for frame in rest] == list(range(start_frame, 40))
    for frame in rest:
        assert frame.time_s == whole[frame.index].time_s
        np.testing.assert_array_equal(frame.pixels, whole[frame.index].pixels)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.webm"])
@pytest.mark.parametrize("seek_s", [0.04, 0.68, 1.56])
def test_a_sought_frame_has_its_number_and_its_pixels(
    make_video: MakeVideo, name: str, seek_s: float
) -> None:
    path = make_video(name, 40)
    with open_source(path) as source:
        whole = list(source)
    with open_source(path, SourceOptions(seek_s=seek_s)) as source:
        rest = list(source)
    assert abs(rest[0].time_s - seek_s) < 0.09
    assert rest[-1].index == 39
    for frame in rest:
        assert frame.time_s == pytest.approx(whole[frame.index].time_s, abs=1e-4)
        np.testing.assert_array_equal(frame.pixels, whole[frame.index].pixels)


def test_nothing_lies_behind_the_end(make_video: MakeVideo) -> None:
    with open_source(make_video(count=40), SourceOptions(seek_s=99.0)) as source:
        assert all(frame.index <= 39 for frame in source)
    with pytest.raises(SourceError, match="seek_s >= 0"):
        SourceOptions(seek_s=-1.0)


@needs_ffmpeg
@pytest.mark.parametrize("rate", ["24000/1001", "30"])
def test_times_are_those_of_the_container(tmp_path: Path, rate: str) -> None:
    """B-frames, and a start that is not 0."""
    path = tmp_path / "clip.mp4"
    ffmpeg("-f", "lavfi", "-i", f"testsrc=r={rate}:s=64x48:d=2", "-c:v", "mpeg4", "-bf", "2", path)
    with open_source(path) as source:
        times_s = [frame.time_s for frame in source]
    expected = probed_times_s(path)
    np.testing.assert_allclose(times_s, np.array(expected) - expected[0], atol=1e-4)


@needs_ffmpeg
def test_variable_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "variable.mkv"
    choose = "select='not(eq(mod(n,5),2))*not(between(n,20,40))',setpts=PTS"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc=r=25:s=64x48:d=3",
        "-vf",
        choose,
        "-fps_mode",
        "vfr",
        "-c:v",
        "mpeg4",
        path,
    )
    with open_source(path) as source:
        times_s = [frame.time_s for frame in source]
    np.testing.assert_allclose(times_s, probed_times_s(path), atol=2e-3)
    assert np.diff(times_s).max() > 0.8


def test_rotation_of_a_telephone_is_applied(make_video: MakeVideo) -> None:
    path = make_video()
    data = path.read_bytes()
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(upright, turned, 1))
    with open_source(path) as source:
        assert source.size_px == (48, 64)
        assert next(iter(source)).pixels.shape == (64, 48, 3)


@needs_ffmpeg
def test_joined_recordings_of_two_sizes(tmp_path: Path) -> None:
    """OpenCV scales to the first size; the time goes on although the second part starts at 0 again."""
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    for path, size in zip(parts, ("64x48", "128x96"), strict=True):
        ffmpeg("-f", "lavfi", "-i", f"testsrc=r=25:s={size}:d=1", "-c:v", "mpeg2video", path)
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(both) as source:
        frames = list(source)
    assert len(frames) >= 48  # FFmpeg may lose one at the seam
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert np.diff([frame.time_s for frame in frames]).min() > 0.03
    assert frames[-1].time_s == pytest.approx(1.96, abs=0.1)


@needs_ffmpeg
def test_truncated_file_gives_what_decodes_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "whole.mp4"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=r=25:s=320x240:d=4",
        "-c:v",
        "mpeg4",
        "-movflags",
        "faststart",
        path,
    )
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_source(cut) as source:
        count = len(list(source))
        assert 20 < count < 80
        assert source.notes == [
            f"{cut}: ended after {count} of 100 frames: the file looks truncated"
        ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"hello, no video\n" * 99, "can open this file"),
        ("empty.mp4", b"", r"is empty \(0 bytes\)"),
    ],
)
def test_no_video_is_a_clear_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / name)


def test_decoder_keeps_quiet(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"hello, no video\n" * 99)
    code = "import sys, faceaffect\ntry: faceaffect.open_source(sys.argv[1])\nexcept faceaffect.SourceError: sys.exit(3)"
    # In a process of its own: FFmpeg takes its log level once, from whoever opens a video first.
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "text.mp4")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (3, "")


def test_missing_file_and_unknown_scheme() -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source("missing.mp4")
    with pytest.raises(SourceError, match="unknown scheme http://"):
        open_source("http://host/clip.mp4")


def test_early_exit_is_prompt_and_leaves_no_thread(make_video: MakeVideo) -> None:
    before = threading.active_count()
    with open_source(make_video(count=80)) as source:
        next(iter(source))
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 0.5
    assert threading.active_count() == before


def test_decoder_stays_a_few_frames_ahead(make_video: MakeVideo) -> None:
    with open_source(make_video(count=80), SourceOptions(prefetch_frames=3)) as source:
        frames = iter(source)
        next(frames)
        time.sleep(0.2)
        assert len(source._ahead._ready) == 3  # type: ignore[attr-defined]  # the bound that keeps memory flat
        with pytest.raises(SourceError, match="read once"):
            iter(source)


@needs_ffmpeg
@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["pyfeat_face_noface.mov", "pexels_wolfganglanger_sad_woman.mp4", "grid_bbaf2n.mpg"]
)
def test_times_of_real_clips(shared: Path, name: str) -> None:
    clip = shared / "data" / "videos" / name
    with open_source(clip) as source:
        times_s = [frame.time_s for frame in source]
    tolerance_s = (
        0.06 if cv2.__version__ < "5" else 1e-5
    )  # the FFmpeg in older wheels reads a .mov's edit list otherwise
    np.testing.assert_allclose(times_s, probed_times_s(clip), atol=tolerance_s)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are not UTF-8")
def test_a_name_that_is_not_utf8_is_opened_all_the_same(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    """In a process of its own: OpenCV crashes on such a name."""
    odd = make_video(count=7).rename(tmp_path / "bad\udcff.mp4")
    code = (
        "import sys; from faceaffect import open_source; print(len(list(open_source(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(odd)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr


def test_the_frame_of_a_time_is_found(make_video: MakeVideo) -> None:
    clip = make_video(count=60)
    for number in (0, 1, 31, 59):
        assert abs(number_of(read_frame_at(clip, number / 25)) - number) <= 1
    assert read_frame_at(clip, 0.05) is None, "between two frames"
    assert read_frame_at(clip, 99.0) is None


def test_frames_are_shown_beforehand_by_the_thread_that_reads(make_video: MakeVideo) -> None:
    seen: list[tuple[int, str]] = []
    with open_source(make_video(count=20)) as source:
        source.on_frame_decoded(lambda frame: seen.append((frame.index, threading.current_thread().name)))  # type: ignore[attr-defined]
        for frame in source:
            assert (frame.index, "faceaffect-decode") in seen
        with pytest.raises(SourceError, match="before the first"):
            source.on_frame_decoded(lambda frame: None)  # type: ignore[attr-defined]
    assert [index for index, _ in seen] == list(range(20))
