"""Tests of what `analyze` takes as input, and of what it says about it, on a fake pipeline."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.cli import analyze_batch, analyze_run
from faceaffect.sinks.side_car import read_side_car
from faceaffect.sources.camera_source import CameraConfig
from faceaffect.sources.open_source import LIVE_SCHEMES
from faceaffect.types import Affect, Faces, Frame, PixelFormat
from tests.sdk.cli.conftest import Run, make_clip
from tests.sdk.cli.fake_pipeline import FakePipeline
from tests.sdk.cli.test_analyze import frames_with_faces, read_frames, read_rows


def write_into(descriptor_or_path: int | Path, content: bytes) -> threading.Thread:
    """Write in a thread, since a pipe blocks until somebody reads."""

    def write() -> None:
        with open(descriptor_or_path, "wb") as stream:
            stream.write(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["FIFO", "process substitution"])
def test_analyze_pipe_is_read_to_its_end(run: Run, tmp_path: Path, kind: str) -> None:
    content = make_clip(tmp_path / "clip.mkv", 60).read_bytes()
    out = tmp_path / "rows.csv"
    if kind == "FIFO":
        pipe = tmp_path / "camera.mp4"
        os.mkfifo(pipe)
        writer = write_into(pipe, content)
        assert run("analyze", pipe, "--out", out) == 0
    else:  # what a shell makes of <(command)
        reading, writing = os.pipe()
        writer = write_into(writing, content)
        assert run("analyze", f"/dev/fd/{reading}", "--out", out) == 0
        os.close(reading)
    writer.join(10)
    assert not writer.is_alive()
    assert read_frames(out) == frames_with_faces(60)


def test_analyze_bad_names_and_permissions_fail_alone(
    run: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    locked = make_clip(tmp_path / "locked.mp4", 3)
    path_open, path_stat = Path.open, Path.stat

    def refuse(function: Any) -> Any:  # root may read everything, so the calls are replaced
        def call(self: Path, *arguments: Any, **options: Any) -> Any:
            if self.name == "locked.mp4":
                raise PermissionError(13, "Permission denied", str(self))
            return function(self, *arguments, **options)

        return call

    monkeypatch.setattr(Path, "open", refuse(path_open))
    monkeypatch.setattr(Path, "stat", refuse(path_stat))
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    long_name = "x" * 300 + ".mp4"
    out = tmp_path / "rows.csv"
    sources = [tmp_path / long_name, locked, tmp_path / "gone.mp4", clip]
    assert run("analyze", *sources, "--out", out) == 3
    assert read_frames(out) == frames_with_faces(60)
    error = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in error
    assert "File name too long" in error
    assert "cannot be read (Permission denied)" in error
    assert "the link leads nowhere" in error


def test_analyze_folder_means_the_same_whatever_the_output(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "[2024] clips"
    (root / "stills").mkdir(parents=True)
    make_clip(root / "a.mp4", 3).rename(root / "no_ending")
    make_clip(root / "b.mp4", 3)
    cv2.imwrite(str(root / "stills" / "1.png"), np.zeros((9, 9), np.uint8))
    (root / "notes.txt").write_text("hello")
    seen: dict[str, tuple[list[str], list[str]]] = {}

    def run_single(self: analyze_run.AnalyzeRun) -> int:
        seen["file"] = (self._settings.sources, self._settings.notes)
        return 0

    def run_folder(self: analyze_batch.AnalyzeBatch) -> int:
        seen["folder"] = ([one.uri for one in self._settings.inputs], self._settings.notes)
        return 0

    monkeypatch.setattr(analyze_run.AnalyzeRun, "run", run_single)
    monkeypatch.setattr(analyze_batch.AnalyzeBatch, "run", run_folder)
    for source in (str(root), f"{root}/*"):
        assert run("analyze", source, "--out", tmp_path / "rows.csv") == 0
        assert run("analyze", source, "--out", f"{tmp_path}/rows/") == 0
        assert seen["file"] == seen["folder"]
        assert {Path(uri).name for uri in seen["file"][0]} == {"no_ending", "b.mp4", "stills"}
        assert seen["file"][1] == [f"{source}: 1 left out (neither video nor image): notes.txt"]


@pytest.mark.parametrize("name", ["0", "default", "auto", "mtcnn", "pipe:0", "frame_%03d.mp4"])
def test_analyze_file_with_name_of_something_else_is_the_file(
    run: Run, clip: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip.rename(tmp_path / name)
    assert run("analyze", name, "--out", "rows.csv") == 0
    assert read_frames(Path("rows.csv")) == frames_with_faces(60)


def test_analyze_input_without_faces_is_named_with_a_hint(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = make_clip(tmp_path / "empty.mp4", 1)
    assert run("analyze", clip, empty, "--out", tmp_path / "a.csv", "--min-face-size", "30") == 0
    error = " ".join(capsys.readouterr().err.split())
    hint = "no face was found; faces smaller than 30 px need a smaller --min-face-size, sideways or"
    assert f"{empty}: {hint} upside-down ones --rotate 90, 180 or 270" in error
    assert f"{clip}: no face" not in error
    assert run("analyze", clip, "--out", tmp_path / "b.csv") == 0
    assert "no face was found" not in capsys.readouterr().err


def test_analyze_every_frame_counts_frames_and_not_rows(
    run: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "rows.csv"
    one_face = FakePipeline.analyze

    def two_faces(self: FakePipeline, frame: Frame) -> tuple[Faces, Affect]:
        faces, affect = one_face(self, frame)
        twice = np.repeat(np.arange(len(faces)), 2)
        found = Faces(*(getattr(faces, name)[twice] for name in Faces.__slots__))
        found.track_id[1::2] += 1
        return found, Affect(*(getattr(affect, name)[twice] for name in Affect.__slots__))

    monkeypatch.setattr(FakePipeline, "analyze", two_faces)
    assert run("analyze", clip, "--out", out, "--every-frame") == 0
    rows = read_rows(out)
    expected = [frame for frame in range(60) for _ in range(2 if frame % 3 else 1)]
    assert [int(row["frame"]) for row in rows] == expected
    assert all((row["track_id"] == "") == (int(row["frame"]) % 3 == 0) for row in rows)
    error = capsys.readouterr().err
    assert "60 (" in error, "frames, not the 100 rows"
    assert "frames with faces" in error
    side_car = read_side_car(out)
    assert side_car is not None
    assert [source.frames for source in side_car.sources] == [60]


class LostCamera:
    """Delivers ten frames, and can never be opened again."""

    def __init__(self) -> None:
        self.openings, self.left = 0, 10

    def open(self) -> LostCamera:
        self.openings += 1
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.openings == 1

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        threading.Event().wait(0.02)
        return self.left >= 0, np.full((48, 64, 3), 9, np.uint8)

    def get(self, prop: int) -> float:
        return {3: 64.0, 4: 48.0, 5: 30.0}[prop]

    def release(self) -> None: ...


def test_analyze_camera_that_never_comes_back_is_a_failure(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CameraConfig("fake", LostCamera().open, PixelFormat.BGR, "plug it in")
    monkeypatch.setitem(LIVE_SCHEMES, "rtsp", lambda uri: config)
    out = tmp_path / "rows.csv"
    code = run("analyze", "rtsp://camera/1", "--out", out, "--reconnect-timeout", "0.1")
    error = " ".join(capsys.readouterr().err.split())
    assert code == 1, error
    assert error.count("it did not come back within 0.1 s; check camera and network") == 1
    assert len(read_rows(out)) > 0, "what was analyzed is kept"
