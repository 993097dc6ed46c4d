"""Inputs that other tools were reported to lose or to misread: frames, names, folders."""

from __future__ import annotations

import http.server
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.batch import find_inputs
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources import SourceError, SourceOptions, open_source
from faceaffect.sources.open_source import is_live
from tests.sdk.sources.conftest import MakeVideo, numbered_image
from tests.sdk.sources.ffmpeg_clips import ffmpeg, moving_pattern, needs_ffmpeg


def write_images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), numbered_image(9))


def test_hidden_pixels_of_png_are_not_shown(tmp_path: Path) -> None:
    pixels = np.dstack([np.full((8, 8, 3), 200, np.uint8), np.full((8, 8), 255, np.uint8)])
    pixels[:, 4:, 3] = 0
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    with open_source(tmp_path / "a.png") as source:
        (frame,) = source
    assert frame.pixels[0, :, 0].tolist() == [200] * 4 + [127] * 4


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("float01.tif", np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)),
        ("float255.tif", np.linspace(0, 255, 48, dtype=np.float32).reshape(6, 8)),
        ("gray12in16.png", np.linspace(0, 4095, 48).astype(np.uint16).reshape(6, 8)),
        ("gray16.tif", np.linspace(0, 65535, 48).astype(np.uint16).reshape(6, 8)),
    ],
)
def test_deep_images_are_scaled_to_8_bits(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / name), pixels)
    with open_source(tmp_path / name) as source:
        (frame,) = source
    np.testing.assert_allclose(frame.pixels, np.linspace(0, 255, 48).reshape(6, 8), atol=1.01)


def test_pages_of_tiff_are_frames(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    assert cv2.imwritemulti(str(path), [numbered_image(number) for number in (1, 5, 9)])
    with open_source(path, SourceOptions(image_fps=10)) as source:
        frames = list(source)
        assert source.is_sequence
    assert [round(float(frame.pixels.mean()) / 3) for frame in frames] == [1, 5, 9]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])


@pytest.mark.skipif(not hasattr(cv2, "imwriteanimation"), reason="needs OpenCV 4.11")
def test_animated_webp_is_a_sequence_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    animation = cv2.Animation()
    animation.frames = [
        np.dstack([numbered_image(number), np.full((48, 64), 255, np.uint8)])
        for number in (10, 40, 70)
    ]
    animation.durations = np.array([100, 300, 100], np.int32)
    assert cv2.imwriteanimation(str(path), animation)
    with open_source(path) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.4])
    np.testing.assert_allclose([f.pixels.mean() for f in frames], [30, 120, 210], atol=3)


def test_numbers_in_names_of_a_sequence_are_frame_numbers(tmp_path: Path) -> None:
    options = SourceOptions(is_video=True, image_fps=25)
    write_images(tmp_path / "gap", "00001.jpg", "00020.jpg", "00051.jpg")
    with open_source(tmp_path / "gap", options) as source:
        assert [(f.index, f.time_s) for f in source] == [(0, 0.0), (19, 0.76), (50, 2.0)]
        assert "48 frames are missing" in source.notes[0]
    write_images(tmp_path / "zero", "frame_0.jpg", "frame_1.jpg")
    with open_source(tmp_path / "zero", options) as source:
        assert [frame.index for frame in source] == [0, 1]
        assert source.notes == []
    resumed = SourceOptions(is_video=True, start_frame=20)
    with open_source(tmp_path / "gap", resumed) as source:
        assert [frame.index for frame in source] == [50]
    write_images(tmp_path / "other", "anna.jpg", "20240101120000.jpg")
    with open_source(tmp_path / "other", options) as source:
        assert [frame.index for frame in source] == [0, 1]
    with open_source(tmp_path / "gap") as source:
        assert [frame.index for frame in source] == [0, 1, 2], "unrelated images are counted"


@pytest.mark.parametrize(
    "content",
    ["#EXTM3U\n#EXTINF:1,\nclip.mp4\n", "ffconcat version 1.0\nfile clip.mp4\n"],
)
def test_playlist_is_refused_unless_allowed(make_video: MakeVideo, content: str) -> None:
    playlist = make_video().parent / "list.mp4"
    playlist.write_text(content)
    with pytest.raises(SourceError, match=r"got a playlist, .* --playlists"):
        open_source(playlist)
    if content.startswith("ffconcat"):
        with open_source(playlist, SourceOptions(allow_playlists=True)) as source:
            assert len(list(source)) == 40


def test_long_name_and_dangling_link_raise_source_error(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="the link leads nowhere"):
        open_source(tmp_path / "gone.mp4")
    with pytest.raises(SourceError, match="File name too long"):
        open_source(tmp_path / ("x" * 300 + ".mp4"))
    found = find_inputs([str(tmp_path / ("x" * 300 + ".mp4")), str(tmp_path / "gone.mp4")])
    assert len(found.inputs) == 2


def test_folder_and_file_without_permission_are_listed(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_video().parent
    (root / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:  # root may read everything, so the system call is replaced
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_inputs([str(root)])
    assert [one.name for one in found.inputs] == ["clip.mp4"]
    assert found.notes == [f"{root}: 1 left out (cannot be read: Permission denied): locked"]


def test_folder_with_any_content_loses_nothing_without_a_word(make_video: MakeVideo) -> None:
    root = make_video().parent
    make_video().rename(root / "no_ending")
    make_video().rename(root / "clip.qt")
    make_video()
    (root / "notes.txt").write_text("hello\n" * 99)
    (root / "data.bin").write_bytes(bytes(range(256)) * 40)
    write_images(root / "stills", "a.jpg")
    (root / "photo").write_bytes((root / "stills" / "a.jpg").read_bytes())
    (root / "circle").symlink_to(root)
    found = find_inputs([str(root)])
    assert {one.name for one in found.inputs} == {
        *("clip.mp4", "clip.qt", "no_ending", "stills", "photo")
    }
    assert found.notes == [f"{root}: 2 left out (neither video nor image): data.bin, notes.txt"]
    assert [one.uri for one in find_inputs([str(root)], is_single_output=True).inputs] == [
        one.uri for one in found.inputs
    ]
    with open_source(root / "photo") as source:
        assert (len(list(source)), source.is_sequence) == (1, False)


def test_brackets_in_a_folder_name_are_no_wildcard(make_video: MakeVideo, tmp_path: Path) -> None:
    folder = tmp_path / "[2024] clips"
    folder.mkdir()
    make_video().rename(folder / "a.mp4")
    assert [one.name for one in find_inputs([f"{folder}/*.mp4"]).inputs] == ["a.mp4"]
    write_images(folder / "[x]", "1.png", "2.png")
    with open_source(f"{folder}/[x]/*.png") as source:
        assert len(list(source)) == 2


def test_file_under_the_name_of_an_address_is_a_file(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtsp:").mkdir()
    make_video().rename(tmp_path / "rtsp:" / "clip.mp4")
    with open_source("rtsp://clip.mp4") as source:
        assert len(list(source)) == 40
    assert not is_live("rtsp://clip.mp4")
    make_video("clip.mp4").rename(tmp_path / "clip.mp4?stream=0")
    with open_source("clip.mp4?stream=0") as source:
        assert len(list(source)) == 40


def test_scheme_in_capitals_is_known(make_video: MakeVideo) -> None:
    assert is_live("RTSP://host/path")
    assert is_live("rtsps://host/path")
    with open_source(f"FILE://{make_video()}") as source:
        assert len(list(source)) == 40
    with pytest.raises(SourceError, match="cannot be opened; check address"):
        open_source("RTSP://127.0.0.1:9/none")


@needs_ffmpeg
def test_standard_input_is_a_source(tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    ffmpeg(*moving_pattern(seconds=0.4), clip)
    code = "from faceaffect import open_source; print(len(list(open_source('/dev/stdin'))))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=clip.read_bytes(), capture_output=True
    )
    assert done.stdout.split() == [b"10"], done.stderr


def test_device_that_is_no_camera_raises_source_error() -> None:
    with pytest.raises(SourceError, match="got a device"):
        open_source("/dev/zero")
    with pytest.raises(SourceError, match="got a device"):
        open_source("/dev/null")


@contextmanager
def web_server(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_video_of_a_web_server_is_read_frame_by_frame(make_video: MakeVideo) -> None:
    content = make_video().read_bytes()

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with web_server(Files) as address, open_source(f"{address}/clip.mp4") as source:
        assert not source.is_live
        assert [frame.index for frame in source] == list(range(40))


def test_mjpeg_camera_of_a_web_server_is_live() -> None:
    jpeg = cv2.imencode(".jpg", numbered_image(20, (320, 240)))[1].tobytes()

    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                for _ in range(400):
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    threading.Event().wait(0.01)
            except OSError:
                return

        def log_message(self, *_: object) -> None: ...

    with (
        web_server(Camera) as address,
        open_source(f"{address}/stream", SourceOptions(reconnect_timeout_s=0.2)) as source,
    ):
        assert source.is_live
        frames = [frame for frame, _ in zip(source, range(3), strict=False)]
    assert (frames[0].height_px, frames[0].width_px) == (240, 320)
    assert abs(to_bgr(frames[0]).mean() - 60) < 4


def test_truncated_png_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR")
    with pytest.raises(SourceError, match="cannot be decoded"):
        open_source(tmp_path / "a.png")
