"""Tests of `analyze` with a single output, on a fake pipeline."""

from __future__ import annotations

import csv
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.backends import BackendError
from faceaffect.sinks.parquet_sink import csv_to_parquet, journal_path
from faceaffect.sources import open_source
from faceaffect.types import Affect, Faces, Frame
from tests.sdk.cli.conftest import Run, make_clip
from tests.sdk.cli.fake_pipeline import FakePipeline

Start = Callable[..., "subprocess.Popen[str]"]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_frames(path: Path) -> list[int]:
    return [int(row["frame"]) for row in read_rows(path)]


def frames_with_faces(count: int) -> list[int]:
    return [index for index in range(count) if index % 3]


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_analyze_video_writes_rows_overlay_and_summary(
    run: Run,
    clip: Path,
    tmp_path: Path,
    opened: list[FakePipeline],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, overlay = tmp_path / "rows.csv", tmp_path / "overlay.mp4"
    assert (
        run("analyze", clip, "--out", out, "--overlay", overlay, "--no-smoothing", "--threads", "2")
        == 0
    )
    assert read_frames(out) == frames_with_faces(60)
    assert read_rows(out)[0]["time_s"] == "0.04"
    with open_source(overlay) as source:
        assert len(list(source)) == 60
    assert opened[0].options["smooth"] is False
    assert opened[0].options["threads"] == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for text in (
        "60 (",
        "frames with faces",
        "40",
        "+0.25 / -0.25",
        "AU1 100%",
        "happiness 100%",
        str(out),
        str(overlay),
    ):
        assert text in captured.err


def test_analyze_without_out_writes_only_rows_to_stdout(
    run: Run, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", clip) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("source,frame,time_s,")
    assert len(lines) == 41


def test_analyze_quiet_prints_nothing(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", clip, "--out", tmp_path / "rows.csv", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_analyze_unreadable_source_continues_with_the_others(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    good = make_clip(tmp_path / "good.mp4", 9)
    out = tmp_path / "rows.csv"
    assert (
        run("analyze", good, tmp_path / "text.mp4", tmp_path / "none.mp4", clip, "--out", out) == 3
    )
    assert read_frames(out) == frames_with_faces(9) + frames_with_faces(60)
    error = capsys.readouterr().err
    assert "text.mp4: expected a video or image" in error
    assert "none.mp4: no such file" in error
    assert "Traceback" not in error


def test_analyze_resume_retries_failed_source(run: Run, clip: Path, tmp_path: Path) -> None:
    late, out = tmp_path / "late.mp4", tmp_path / "rows.csv"
    assert run("analyze", clip, late, "--out", out) == 3
    make_clip(late, 6)
    assert run("analyze", clip, late, "--out", out, "--resume") == 0
    assert read_frames(out) == frames_with_faces(60) + frames_with_faces(6)
    assert len({row["track_id"] for row in read_rows(out)}) == 2
    assert not (tmp_path / "rows.csv.progress.jsonl").exists()


def test_analyze_image_folder_resets_pipeline_between_images(
    run: Run, tmp_path: Path, opened: list[FakePipeline]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_bytes(
            cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()
        )
    (folder / "3.png").write_bytes(b"broken")
    out = tmp_path / "rows.csv"
    assert run("analyze", folder, "--out", out) == 0
    assert [(row["source"], row["track_id"]) for row in read_rows(out)] == [
        (str(folder / f"{number}.png"), str(track)) for number, track in ((1, 1), (2, 2), (4, 3))
    ]
    assert run("analyze", folder, "--out", out, "--sequence", "--overwrite") == 0
    assert {row["track_id"] for row in read_rows(out)} == {"1"}
    assert (opened[0].resets, opened[1].resets) == (5, 1)
    assert run("analyze", folder, "--out", out, "--aligned-crops", "--overwrite") == 0
    assert opened[2].options["aligned_crops"] is True
    assert [pipeline.options["is_video"] for pipeline in opened] == [False, True, True]
    assert opened[2].resets == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "rows.txt"], "must end in .csv, .jsonl or .parquet"),
        (["--out", "missing/rows.csv"], "does not exist"),
        (["--out", "-", "--resume"], "standard output cannot be resumed"),
        (["--out", "a.csv", "--resume", "--overwrite"], "use one of them"),
        (["--overlay", "overlay.gif"], "--overlay must end in"),
        (["--out", "a.csv", "--image-fps", "0"], "image_fps > 0"),
        (
            ["--out", "a.csv", "--precision", "fp8"],
            "'fp8' is not one of 'auto', 'fp32', 'fp16', 'int8'",
        ),
        (["--out", "a.csv", "--dla-core", "-1"], "--dla-core"),
        (["--out", "a.csv", "--detector", "yunet"], "needs --detector-model FILE"),
        (["--out", "a.csv", "--detector-model", __file__], "only used with --detector yunet"),
    ],
)
def test_analyze_invalid_options_fail_before_pipeline_opens(
    run: Run,
    clip: Path,
    opened: list[FakePipeline],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("analyze", clip, *arguments) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert opened == []


def test_analyze_existing_output_is_refused_with_advice(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("precious")
    assert run("analyze", clip, "--out", out) == 1
    assert out.read_text() == "precious"
    error = capsys.readouterr().err
    assert "--resume" in error
    assert "--overwrite" in error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_analyze_stopped_by_signal_is_resumable(
    start: Start, run: Run, clip: Path, tmp_path: Path, number: int, code: int
) -> None:
    out, overlay = tmp_path / "rows.csv", tmp_path / "overlay.mp4"
    process = start("analyze", clip, "--out", out, "--overlay", overlay, frame_s=0.05)
    wait_for(lambda: out.exists() and len(out.read_text().splitlines()) > 10)
    process.send_signal(number)
    _, error = process.communicate(timeout=10)
    assert process.returncode == code, error
    assert "continue with --resume" in error
    assert "Traceback" not in error
    with open_source(overlay) as source:
        assert len(list(source)) > 10
    assert run("analyze", clip, "--out", out, "--overlay", overlay, "--resume") == 0
    assert read_frames(out) == frames_with_faces(60)
    assert len({row["track_id"] for row in read_rows(out)}) == 1
    with open_source(tmp_path / "overlay.part2.mp4") as source:
        assert 0 < len(list(source)) < 60


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_analyze_killed_leaves_valid_rows_and_is_resumable(
    start: Start, run: Run, clip: Path, tmp_path: Path, name: str
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / name
    text = out if name.endswith("csv") else journal_path(out)
    process = start("analyze", clip, "--out", out, frame_s=0.05)
    wait_for(lambda: text.exists() and len(text.read_text().splitlines()) > 20)
    process.kill()
    process.communicate(timeout=10)
    assert read_frames(text) == frames_with_faces(60)[: len(read_frames(text))]
    if name.endswith("parquet"):
        csv_to_parquet(text, tmp_path / "check.parquet")
    assert run("analyze", clip, "--out", out, "--resume") == 0
    frames = (
        read_frames(out) if name.endswith("csv") else parquet.read_table(out)["frame"].to_pylist()
    )
    assert frames == frames_with_faces(60)
    assert not text.exists() or name.endswith("csv")


def test_analyze_full_disk_fails_with_clear_error(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, limits[1]))
    out = tmp_path / "rows.csv"
    try:
        assert run("analyze", clip, "--out", out) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "writing stopped (File too large); the rows so far are kept" in capsys.readouterr().err
    assert read_frames(out) == frames_with_faces(60)[: len(read_frames(out))]
    assert run("analyze", clip, "--out", out, "--resume") == 0
    assert read_frames(out) == frames_with_faces(60)


def test_analyze_closed_stdout_ends_without_message(start: Start, clip: Path) -> None:
    process = start("analyze", clip, frame_s=0.01)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait(timeout=10) == 1
    assert error == ""


def test_analyze_precision_and_dla_core_reach_pipeline(
    run: Run, clip: Path, tmp_path: Path, opened: list[FakePipeline]
) -> None:
    assert (
        run("analyze", clip, "--out", tmp_path / "a.csv", "--precision", "int8", "--dla-core", "1")
        == 0
    )
    assert run("analyze", clip, "--out", tmp_path / "b.csv") == 0
    assert [
        (pipeline.options["precision"], pipeline.options["dla_core"]) for pipeline in opened
    ] == [
        ("int8", 1),
        ("auto", None),
    ]


def test_analyze_resume_in_other_precision_is_refused(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late, out = tmp_path / "late.mp4", tmp_path / "rows.csv"
    assert run("analyze", clip, late, "--out", out, "--precision", "fp16") == 3
    make_clip(late, 6)
    assert run("analyze", clip, late, "--out", out, "--resume") == 1
    assert "precision was float16, is float32" in capsys.readouterr().err
    assert read_frames(out) == frames_with_faces(60)
    assert (
        run(
            "analyze",
            clip,
            late,
            "--out",
            out,
            "--resume",
            "--precision",
            "fp16",
            "--dla-core",
            "0",
        )
        == 0
    )
    assert read_frames(out) == frames_with_faces(60) + frames_with_faces(6)


def test_analyze_lost_gpu_ends_run_and_keeps_rows(
    run: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, healthy = tmp_path / "rows.csv", FakePipeline.analyze

    def analyze(self: FakePipeline, frame: Frame) -> tuple[Faces, Affect]:
        if frame.index == 20:
            raise BackendError(
                "backend 'tensorrt' failed on cuda:0: the GPU was lost to this process"
            )
        return healthy(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(FakePipeline, "analyze", analyze)
        assert run("analyze", clip, tmp_path / "never.mp4", "--out", out) == 1
    error = capsys.readouterr().err
    assert "the GPU was lost to this process" in error
    assert "continue with --resume" in error
    assert "Traceback" not in error
    assert "never.mp4" not in error, "later sources are not tried without a GPU"
    assert read_frames(out) == frames_with_faces(20)
    assert run("analyze", clip, "--out", out, "--resume") == 0
    assert read_frames(out) == frames_with_faces(60)
