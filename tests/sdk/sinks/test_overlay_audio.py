"""Audio of overlays: the same samples at the same time as in the source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from faceaffect.sinks.overlay_video import OverlayVideo
from faceaffect.types import Frame

RATE_HZ = 48_000


def make_clip(path: Path, codec: str) -> Path:
    """Two seconds of video, silent but for a tone from 1.0 to 1.2 s."""
    times_s = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 440 * times_s) * ((times_s >= 1.0) & (times_s < 1.2))
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        audio.codec_context.open()
        for index in range(50):
            image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            image.pts, image.time_base = index, Fraction(1, 25)
            container.mux(video.encode(image))
        container.mux(video.encode(None))
        resampler = av.AudioResampler(
            audio.codec_context.format, "mono", RATE_HZ, audio.codec_context.frame_size or 1024
        )
        samples = av.AudioFrame.from_ndarray(np.int16(20_000 * tone)[None], "s16", "mono")
        samples.sample_rate, samples.pts = RATE_HZ, 0
        for frame in (samples, None):
            for piece in resampler.resample(frame):
                container.mux(audio.encode(piece))
        container.mux(audio.encode(None))
    return path


def tone_s(path: Path) -> tuple[float, float]:
    """Where a file is loud, in seconds after its first frame."""
    with av.open(str(path)) as container:
        video_start_s = float(container.streams.video[0].start_time or 0) * float(
            container.streams.video[0].time_base
        )
        loud = []
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().astype(np.float64).reshape(-1)
            scale = 1.0 if frame.format.name.startswith("flt") else 32768.0
            at = np.flatnonzero(np.abs(samples) > 0.1 * scale)
            loud += [frame.time + index / frame.sample_rate for index in at]
    return min(loud) - video_start_s, max(loud) - video_start_s


def draw(clip: Path, out: Path, frames: range) -> None:
    video = OverlayVideo(out, 25, clip)
    for index in frames:
        image = np.full((48, 64, 3), index, np.uint8)
        video.write(Frame(image, time_s=index / 25, index=index, source=str(clip)), image)
    video.close()


@pytest.mark.parametrize(
    ("codec", "source_name", "name", "expected"),
    [
        ("aac", "clip.mp4", "out.mp4", "aac"),  # copied
        ("mp2", "clip.mpg", "out.mp4", "aac"),  # encoded again
        ("aac", "clip.mp4", "out.webm", "opus"),
        ("libopus", "clip.mkv", "out.webm", "opus"),  # copied
        ("pcm_s16le", "clip.avi", "out.avi", "pcm_s16le"),  # copied
    ],
)
def test_overlay_audio_is_where_it_was(
    codec: str, source_name: str, name: str, expected: str, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / source_name, codec)
    draw(clip, tmp_path / name, range(50))
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.audio[0].codec_context.name == expected
    assert tone_s(tmp_path / name) == pytest.approx((1.0, 1.2), abs=0.03)


def test_overlay_audio_of_part_is_shifted_and_ends_with_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", "aac")
    draw(clip, tmp_path / "out.mp4", range(20, 40))  # 0.8 to 1.6 s
    assert tone_s(tmp_path / "out.mp4") == pytest.approx((0.2, 0.4), abs=0.03)
    with av.open(str(tmp_path / "out.mp4")) as container:
        ends_s = [float(stream.duration * stream.time_base) for stream in container.streams]
    assert ends_s == pytest.approx([0.8, 0.8], abs=0.06)


def test_overlay_of_silent_source_has_no_audio(tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    draw(tmp_path / "none.mp4", silent, range(5))
    draw(silent, tmp_path / "out.mp4", range(5))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
