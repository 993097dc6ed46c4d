"""Video files as sources: order, time stamps, seeking, damaged files."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources import SourceError, SourceOptions, open_source
from faceaffect.sources.source import PrefetchingSource
from faceaffect.sources.video_file import read_frame_at
from tests.sdk.sources.conftest import MakeVideo, decode_number

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg not installed"
)


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def probed_times_s(path: Path) -> list[float]:
    entries = ["-show_entries", "frame=best_effort_timestamp_time", "-of", "json", str(path)]
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", *entries],
        check=True,
        capture_output=True,
    )
    return [
        float(frame["best_effort_timestamp_time"]) for frame in json.loads(out.stdout)["frames"]
    ]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.webm"])
def test_video_file_yields_every_frame_once_in_order(make_video: MakeVideo, name: str) -> None:
    with open_source(make_video(name, 40)) as source:
        frames = list(source)
        assert (source.size_px, source.is_live, source.is_sequence) == ((64, 48), False, True)
        assert source.fps == pytest.approx(25, abs=0.01)
        assert source.notes == []
    assert [frame.index for frame in frames] == list(range(40))
    assert max(abs(decode_number(to_bgr(frame)) - frame.index) for frame in frames) <= 1
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / 25, atol=2e-3)


@pytest.mark.parametrize("start_frame", [1, 17, 39, 40, 99])
def test_video_file_with_start_frame_begins_exactly_there(
    make_video: MakeVideo, start_frame: int
) -> None:
    path = make_video(count=40)
    with open_source(path) as source:
        all_frames = list(source)
    with open_source(path, SourceOptions(start_frame=start_frame)) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(start_frame, 40))
    for frame in frames:
        assert frame.time_s == all_frames[frame.index].time_s
        np.testing.assert_array_equal(frame.pixels, all_frames[frame.index].pixels)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.webm"])
@pytest.mark.parametrize("seek_s", [0.04, 0.68, 1.56])
def test_video_file_with_seek_numbers_frames_as_without(
    make_video: MakeVideo, name: str, seek_s: float
) -> None:
    path = make_video(name, 40)
    with open_source(path) as source:
        all_frames = list(source)
    with open_source(path, SourceOptions(seek_s=seek_s)) as source:
        frames = list(source)
    assert abs(frames[0].time_s - seek_s) < 0.09
    assert frames[-1].index == 39
    for frame in frames:
        assert frame.time_s == pytest.approx(all_frames[frame.index].time_s, abs=1e-4)
        np.testing.assert_array_equal(frame.pixels, all_frames[frame.index].pixels)


def test_video_file_with_seek_past_end_yields_no_later_frame(make_video: MakeVideo) -> None:
    with open_source(make_video(count=40), SourceOptions(seek_s=99.0)) as source:
        assert all(frame.index <= 39 for frame in source)
    with pytest.raises(SourceError, match="seek_s >= 0"):
        SourceOptions(seek_s=-1.0)


@needs_ffmpeg
@pytest.mark.parametrize("rate", ["24000/1001", "30"])
def test_video_file_time_stamps_equal_those_of_ffprobe(tmp_path: Path, rate: str) -> None:
    """The clips have B-frames and a start time that is not 0."""
    path = tmp_path / "clip.mp4"
    ffmpeg("-f", "lavfi", "-i", f"testsrc=r={rate}:s=64x48:d=2", "-c:v", "mpeg4", "-bf", "2", path)
    with open_source(path) as source:
        times_s = [frame.time_s for frame in source]
    expected = probed_times_s(path)
    np.testing.assert_allclose(times_s, np.array(expected) - expected[0], atol=1e-4)


@needs_ffmpeg
def test_video_file_of_variable_frame_rate_keeps_container_times(tmp_path: Path) -> None:
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


def test_video_file_with_rotation_is_rotated(make_video: MakeVideo) -> None:
    path = make_video()
    data = path.read_bytes()
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    rotated = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(upright, rotated, 1))
    with open_source(path) as source:
        assert source.size_px == (48, 64)
        assert to_bgr(next(iter(source))).shape == (64, 48, 3)


@needs_ffmpeg
def test_video_file_of_joined_recordings_has_their_sizes_and_monotonic_time(tmp_path: Path) -> None:
    """The second recording starts at time 0 again."""
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    for path, size in zip(parts, ("64x48", "128x96"), strict=True):
        ffmpeg("-f", "lavfi", "-i", f"testsrc=r=25:s={size}:d=1", "-c:v", "mpeg2video", path)
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(both) as source:
        frames = list(source)
    assert len(frames) >= 48  # FFmpeg may lose one at the junction
    assert {to_bgr(frame).shape for frame in frames} == {(48, 64, 3), (96, 128, 3)}
    assert np.diff([frame.time_s for frame in frames]).min() > 0.03
    assert frames[-1].time_s == pytest.approx(1.96, abs=0.1)


@needs_ffmpeg
def test_truncated_video_file_yields_decodable_frames_and_notes_it(tmp_path: Path) -> None:
    path = tmp_path / "complete.mp4"
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
            f"{cut}: ended at {count / 25:.2f} of 4.00 s: the file looks truncated"
        ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"hello, no video\n" * 99, "FFmpeg can open as neither"),
        ("empty.mp4", b"", r"an empty file \(0 bytes\)"),
    ],
)
def test_open_source_without_video_raises_source_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / name)


def test_failed_decoder_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"hello, no video\n" * 99)
    code = (
        "import sys, faceaffect\n"
        "try: faceaffect.open_source(sys.argv[1])\n"
        "except faceaffect.SourceError: sys.exit(3)"
    )
    # In another process: FFmpeg takes its log level once, from whoever opens a video first.
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "text.mp4")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (3, "")


def test_close_after_first_frame_is_prompt_and_leaves_no_thread(make_video: MakeVideo) -> None:
    before = threading.active_count()
    with open_source(make_video(count=80)) as source:
        next(iter(source))
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 0.5
    assert threading.active_count() == before


def test_prefetching_stops_at_its_limit(make_video: MakeVideo) -> None:
    decoded: list[int] = []
    with open_source(make_video(count=80), SourceOptions(prefetch_frames=3)) as source:
        assert isinstance(source, PrefetchingSource)
        source.on_frame_decoded(lambda frame: decoded.append(frame.index))
        frames = iter(source)
        next(frames)
        time.sleep(0.2)
        # One was consumed, three are buffered and the last waits for room: memory stays bounded.
        assert decoded == [0, 1, 2, 3, 4]
        with pytest.raises(SourceError, match="can be read once"):
            iter(source)


@needs_ffmpeg
@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["pyfeat_face_noface.mov", "pexels_wolfganglanger_sad_woman.mp4", "grid_bbaf2n.mpg"]
)
def test_video_file_of_real_clip_has_times_of_ffprobe(shared: Path, name: str) -> None:
    clip = shared / "data" / "videos" / name
    with open_source(clip) as source:
        times_s = [frame.time_s for frame in source]
    np.testing.assert_allclose(times_s, probed_times_s(clip), atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are not UTF-8")
def test_video_file_with_name_that_is_not_utf8_is_read(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    """In another process: OpenCV itself would crash on such a name."""
    odd = make_video(count=7).rename(tmp_path / "bad\udcff.mp4")
    code = (
        "import sys; from faceaffect import open_source; print(len(list(open_source(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(odd)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr


def test_read_frame_at_returns_frame_of_exact_time_only(make_video: MakeVideo) -> None:
    clip = make_video(count=60)
    for number in (0, 1, 31, 59):
        assert abs(decode_number(read_frame_at(clip, number / 25)) - number) <= 1
    assert read_frame_at(clip, 0.05) is None, "between two frames"
    assert read_frame_at(clip, 99.0) is None


def test_on_frame_decoded_runs_in_decoding_thread_before_frame_is_consumed(
    make_video: MakeVideo,
) -> None:
    decoded: list[tuple[int, str]] = []
    with open_source(make_video(count=20)) as source:
        assert isinstance(source, PrefetchingSource)
        source.on_frame_decoded(
            lambda frame: decoded.append((frame.index, threading.current_thread().name))
        )
        for frame in source:
            assert (frame.index, "faceaffect-decode") in decoded
        with pytest.raises(SourceError, match="before iterating"):
            source.on_frame_decoded(lambda frame: None)
    assert [index for index, _ in decoded] == list(range(20))
