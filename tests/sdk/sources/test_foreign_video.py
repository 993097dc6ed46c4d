"""Videos of the world that other tools were reported to misread; ffmpeg is the truth."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.batch.find_inputs import find_inputs
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources import SourceError, SourceOptions, open_source
from tests.sdk.sources.ffmpeg_clips import (
    decoded_by_ffmpeg,
    ffmpeg,
    moving_pattern,
    needs_ffmpeg,
    probed_times_s,
    smooth_chroma,
    turn_video,
)

pytestmark = needs_ffmpeg


def assert_shows(path: Path, size_px: tuple[int, int], *filters: str, level: float = 1.0) -> None:
    """Assert that the frames are those of ffmpeg, up to `level` gray levels on average."""
    expected = decoded_by_ffmpeg(path, size_px, *filters)
    with open_source(path) as source:
        frames = [to_bgr(frame) for frame in source]
        assert source.size_px == size_px
    assert len(frames) == len(expected)
    for frame, right in zip(frames, expected, strict=True):
        assert np.abs(frame.astype(int) - right.astype(int)).mean() <= level
    assert np.stack(frames).std() > 20, "an image, not a flat frame"


INTERLACE = "fps=50,tinterlace=interleave_top,setfield=tff"


@pytest.mark.parametrize(
    ("name", "size", "coding"),
    [
        ("dvd.vob", "720x576", "format=yuv420p|-c:v mpeg2video -flags +ildct+ilme -f dvd"),
        ("dv.avi", "720x576", "format=yuv420p|-c:v dvvideo"),
        (
            "avchd.mts",
            "320x256",
            "format=yuv420p|-c:v libx264 -flags +ildct+ilme -x264opts tff=1 -f mpegts",
        ),
        ("xdcam.mpg", "320x256", "format=yuv422p|-c:v mpeg2video -flags +ildct+ilme -q:v 2"),
        ("prores.mov", "320x256", "format=yuv422p10le|-c:v prores_ks -flags +ildct"),
    ],
)
def test_interlaced_video_is_deinterlaced_and_noted_once(
    tmp_path: Path, name: str, size: str, coding: str
) -> None:
    pixel_format, options = coding.split("|")
    path = tmp_path / name
    filters = f"{INTERLACE},{pixel_format}"
    ffmpeg(*moving_pattern(size, "50", 0.4), "-vf", filters, "-r", "25", *options.split(), path)
    width, height = map(int, size.split("x"))
    with open_source(path) as source:
        frames = list(source)
        notes = [note for note in source.notes if "interlaced" in note]
        size_px = source.size_px
    assert len(frames) == 10
    assert len(notes) == 1
    assert size_px is not None
    expected = decoded_by_ffmpeg(path, size_px, "bwdif=mode=send_frame", f"scale={size_px[0]}:-2")
    assert size_px[1] == height or size_px[0] == width
    for frame, right in zip(frames, expected, strict=True):
        assert np.abs(to_bgr(frame).astype(int) - right.astype(int)).mean() < 3


@pytest.mark.parametrize(("ratio", "shown"), [("4/3", (128, 96)), ("1/2", (96, 192))])
def test_pixels_that_are_not_square_are_scaled(
    tmp_path: Path, ratio: str, shown: tuple[int, int]
) -> None:
    path = tmp_path / "sar.mp4"
    ffmpeg(*moving_pattern("96x96", seconds=0.2), "-vf", f"setsar={ratio}", path)
    assert_shows(path, shown, f"scale={shown[0]}:{shown[1]}:flags=bicubic")
    with open_source(path) as source:
        matrix = source.geometry.display_to_stored  # type: ignore[attr-defined]
    corner = matrix @ [shown[0] - 0.5, shown[1] - 0.5, 1]  # lower right edge of the image
    np.testing.assert_allclose(corner, [95.5, 95.5], atol=1e-4)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_video_is_shown_upright(tmp_path: Path, degrees: int) -> None:
    plain, path = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    ffmpeg(*moving_pattern("96x64", seconds=0.2), plain)
    turn_video(plain, degrees, path)
    assert_shows(path, (96, 64) if degrees == 180 else (64, 96))
    with open_source(path) as source:
        shown = to_bgr(next(iter(source)))
        matrix = source.geometry.display_to_stored  # type: ignore[attr-defined]
    stored = decoded_by_ffmpeg(plain, (96, 64))[0]
    x, y = matrix @ [10, 20, 1]
    assert np.abs(shown[20, 10].astype(int) - stored[round(y), round(x)]).max() <= 3


@pytest.mark.parametrize(
    ("pixel_format", "matrix", "color_range", "codec"),
    [
        ("yuv420p", "bt709", "tv", "libx264"),
        ("yuv420p", "bt709", "pc", "libx264"),
        ("yuv420p", "smpte170m", "tv", "libx264"),
        ("yuv420p10le", "bt2020nc", "tv", "libx264"),
        ("yuv444p", "bt709", "tv", "libx264"),
        ("yuv444p12le", "bt709", "tv", "ffv1"),
        ("gray", "bt709", "pc", "ffv1"),
        ("bgr0", "rgb", "pc", "ffv1"),
    ],
)
def test_colors_are_those_that_the_stream_declares(
    tmp_path: Path, pixel_format: str, matrix: str, color_range: str, codec: str
) -> None:
    path = tmp_path / "color.mkv"
    name = matrix.removesuffix("nc")
    scale = [] if matrix == "rgb" else [f"scale=out_color_matrix={name}:out_range={color_range}"]
    tags = [] if matrix == "rgb" else ["-colorspace", matrix, "-color_range", color_range]
    filters = ",".join(["format=bgr0", *scale, f"format={pixel_format}"])
    ffmpeg(*moving_pattern("96x64", seconds=0.2), "-vf", filters, "-c:v", codec, *tags, path)
    source_rgb = tmp_path / "rgb.mkv"
    ffmpeg(*moving_pattern("96x64", seconds=0.2), "-vf", "format=bgr0", "-c:v", "ffv1", source_rgb)
    with open_source(path) as source:
        frames = np.stack([to_bgr(frame) for frame in source]).astype(int)
    original = decoded_by_ffmpeg(source_rgb, (96, 64)).astype(int)
    if pixel_format == "gray":
        assert np.ptp(frames, axis=3).max() <= 1
        # Versions of ffmpeg differ in the weights by which they make gray of colors.
        original = decoded_by_ffmpeg(path, (96, 64)).astype(int)
    # A wrong matrix or range is off by 5 levels and more; coding itself by less.
    flat = np.median(np.abs(frames - original))
    assert flat <= 3


def test_late_video_stream_keeps_its_distance_to_the_audio(tmp_path: Path) -> None:
    plain = tmp_path / "plain.mp4"
    ffmpeg(*moving_pattern(seconds=1), plain)
    for name in ("late.ts", "late.mkv"):
        path = tmp_path / name
        sine = ["-f", "lavfi", "-i", "sine=440:d=3"]
        ffmpeg(
            *("-itsoffset", "1.5", "-i", plain, *sine, "-map", "0:v", "-map", "1:a"),
            *("-c:v", "copy", "-c:a", "aac", path),
        )
        with open_source(path) as source:
            times_s = [frame.time_s for frame in source]
            assert source.notes == []
        assert times_s[0] == pytest.approx(1.5, abs=0.07)
        probed = np.array(probed_times_s(path))
        np.testing.assert_allclose(np.diff(times_s), np.diff(probed), atol=2e-3)
        with open_source(path, SourceOptions(seek_s=2.0)) as source:
            first = next(iter(source))
        assert first.time_s == pytest.approx(times_s[first.index], abs=1e-3)


def test_edit_list_hides_the_frames_before_it(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.mp4", tmp_path / "cut.mp4"
    ffmpeg(*moving_pattern(seconds=2), "-g", "25", "-bf", "2", plain)
    ffmpeg("-ss", "0.52", "-i", plain, "-c", "copy", path)
    probed = np.array(probed_times_s(path))
    with open_source(path) as source:
        times_s = [frame.time_s for frame in source]
        assert not [note for note in source.notes if "truncated" in note]
    shown = probed[probed >= -1e-6]
    np.testing.assert_allclose(times_s[-20:], shown[-20:], atol=0.045)
    assert len(times_s) in (len(shown), len(probed))


def test_size_changes_in_mid_stream_and_aspect_stays(tmp_path: Path) -> None:
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    for part, size in zip(parts, ("96x64", "64x96"), strict=True):
        ffmpeg(*smooth_chroma(size, seconds=0.4), "-c:v", "libx264", "-f", "mpegts", part)
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(both) as source:
        frames = list(source)
    assert [frame.pixels.shape[:2] for frame in frames] == [(64, 96)] * 10 + [(96, 64)] * 10
    expected = decoded_by_ffmpeg(parts[1], (64, 96))
    assert (
        np.abs(to_bgr(frames[-1]).astype(int) - expected[-1].astype(int)).mean() < 1.3
    )  # it truncates


def test_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "cover.png"), np.full((300, 300, 3), 200, np.uint8))
    clip, cover = tmp_path / "clip.mp4", tmp_path / "cover.png"
    ffmpeg(*moving_pattern(seconds=0.4), clip)
    first = tmp_path / "first.mkv"
    maps = ["-map", "0:v", "-map", "1:v", "-c:v:0", "mjpeg", "-c:v:1", "copy"]
    ffmpeg("-i", cover, "-i", clip, *maps, "-disposition:v:0", "attached_pic", first)
    with open_source(first) as source:
        assert (len(list(source)), source.size_px, source.notes) == (10, (64, 48), [])
    with open_source(f"{first}?stream=0") as source:
        assert source.size_px == (300, 300)
    with pytest.raises(SourceError, match="expected the number of a video stream"):
        open_source(f"{first}?stream=7")
    song = tmp_path / "song.mp3"
    sine = ["-f", "lavfi", "-i", "sine=440:d=1"]
    maps = ["-map", "1:a", "-map", "0:v", "-c:v", "mjpeg", "-disposition:v", "attached_pic"]
    ffmpeg("-i", cover, *sine, *maps, song)
    with pytest.raises(SourceError, match="audio and a cover image only"):
        open_source(song)


@pytest.mark.parametrize("name", ["pi.h264", "cam.mjpeg"])
def test_bare_stream_is_counted_at_the_rate_that_is_given(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    codec = ["-c:v", "libx264", "-bf", "0", "-f", "h264"] if name == "pi.h264" else ["-f", "mjpeg"]
    ffmpeg(*moving_pattern(rate="30", seconds=0.5), *codec, path)
    with open_source(path, SourceOptions(rate_fps=30)) as source:
        times_s = [frame.time_s for frame in source]
        assert source.notes == []
    np.testing.assert_allclose(times_s, np.arange(15) / 30, atol=1e-6)
    with open_source(path) as source:
        assumed = [frame.time_s for frame in source]
        is_declared = abs(assumed[1] - 1 / 30) < 1e-6
        assert is_declared or "25 frames per second are assumed" in source.notes[0]


def test_fifo_is_read_as_a_file(tmp_path: Path) -> None:
    import os

    clip, fifo = tmp_path / "clip.ts", tmp_path / "fifo.mp4"
    ffmpeg(*moving_pattern(seconds=0.4), clip)
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(clip.read_bytes()), daemon=True)
    writer.start()
    with open_source(fifo) as source:
        assert len(list(source)) == 10
    writer.join(5)


def test_animations_are_sequences_with_their_times(tmp_path: Path) -> None:
    for name in ("a.gif", "a.apng", "b.png"):
        path = tmp_path / name
        ffmpeg(
            *moving_pattern(rate="10", seconds=0.5), "-f", name[-3:].replace("png", "apng"), path
        )
        with open_source(path) as source:
            frames = list(source)
            assert source.is_sequence
        assert len(frames) == 5
        np.testing.assert_allclose([f.time_s for f in frames], np.arange(5) / 10, atol=1e-3)


def test_transparent_video_shows_a_background(tmp_path: Path) -> None:
    path = tmp_path / "alpha.mov"
    hidden = "format=rgba,geq=r=255:g=0:b=0:a='if(lt(X,32),255,0)'"
    ffmpeg(*moving_pattern(seconds=0.1), "-vf", hidden, "-c:v", "qtrle", path)
    with open_source(path) as source:
        pixels = next(iter(source)).pixels
    assert pixels[20, 10].tolist() == [0, 0, 255]
    assert pixels[20, 50].tolist() == [127, 127, 127]


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("a.divx", "-c:v mpeg4 -vtag DIVX -f avi"),
        ("a.m2v", "-c:v mpeg2video -f mpeg2video"),
        ("a.m2t", "-c:v mpeg2video -f mpegts"),
        ("a.y4m", "-pix_fmt yuv420p -f yuv4mpegpipe"),
        ("a.hevc", "-c:v libx265 -x265-params log-level=none -f hevc"),
        ("a.mjpeg", "-c:v mjpeg -pix_fmt yuvj420p -f mjpeg"),
        ("a.3g2", "-c:v mpeg4 -f 3g2"),
        ("a.qt", "-c:v mpeg4 -f mov"),
        ("a.f4v", "-c:v libx264 -f f4v"),
        ("a.ogm", "-c:v libtheora -f ogg"),
        ("a.wmv", "-c:v wmv2 -f asf"),
        ("A.MKV", "-c:v ffv1 -f matroska"),
        ("no_ending", "-c:v mpeg4 -f avi"),
        ("named.txt", "-c:v mpeg4 -f mp4"),
    ],
)
def test_video_of_any_ending_is_found_in_a_folder_and_read(
    tmp_path: Path, name: str, coding: str
) -> None:
    path = tmp_path / name
    ffmpeg(*smooth_chroma("96x64", seconds=0.4), *coding.split(), path)
    (found,) = find_inputs([str(tmp_path)]).inputs
    assert found.uri == str(path)
    assert_shows(path, (96, 64), level=1.5)


def test_image_of_avif_is_that_of_ffmpeg(tmp_path: Path) -> None:
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True)
    if "libaom-av1" not in listed.stdout:
        pytest.skip("needs ffmpeg with libaom")
    path = tmp_path / "a.avif"
    pattern = smooth_chroma("128x96", seconds=0.04)
    ffmpeg(*pattern, "-frames:v", "1", "-c:v", "libaom-av1", path)
    assert_shows(path, (128, 96), level=1.5)
