"""End-to-end tests of `analyze --out FOLDER`: no row is lost or duplicated, however a run ends."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from faceaffect.batch import open_store
from tests.sdk.batch.conftest import Analyze, children, make_video, wait_for

FRAMES = 30


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for number in range(4):
        make_video(tmp_path / "videos" / f"v{number % 2}" / f"{number}.mp4", FRAMES)
    return tmp_path / "videos"


@pytest.fixture
def long_videos(tmp_path: Path) -> Path:
    for number in range(10):
        make_video(tmp_path / "videos" / f"{number}.mp4", 400)
    return tmp_path / "videos"


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, error = process.communicate(timeout=120)
    assert "Traceback" not in error, error
    return process.returncode, error


def output_files(out: Path) -> dict[str, int]:
    """Return names and modification times."""
    return {name: (out / name).stat().st_mtime_ns for name in open_store(str(out)).names()}


def assert_complete(out: Path, videos: Path, frames: int) -> None:
    """Check that there is one file per video, with every frame of that video once."""
    videos = {path.relative_to(videos).as_posix(): path for path in videos.rglob("*.mp4")}
    assert set(output_files(out)) == {f"{name}.csv" for name in videos}
    for name, path in videos.items():
        with (out / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [int(row["frame"]) for row in rows] == list(range(frames))
        assert {row["source"] for row in rows} == {str(path)}
        assert {row["track_id"] for row in rows} == {"1"}
    assert not (out / ".faceaffect" / "work").exists()


def test_batch_output_file_equals_rows_of_single_run(
    analyze: Analyze, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    code, error = finish(analyze(videos, "--out", out, "--jobs", "2"))
    assert code == 0, error
    assert_complete(out, videos, FRAMES)
    assert "4 inputs (0 more by previous runs)" in error
    assert "minutes per hour of video" in error
    alone = tmp_path / "alone.csv"
    assert finish(analyze(videos / "v1" / "3.mp4", "--out", alone))[0] == 0
    assert alone.read_bytes() == (out / "v1" / "3.mp4.csv").read_bytes()


def test_batch_failed_input_is_retried_only_on_request(
    analyze: Analyze, videos: Path, tmp_path: Path
) -> None:
    out, late = tmp_path / "results", videos / "late.mp4"
    late.write_text("no video")
    code, error = finish(analyze(videos, "--out", out, "--jobs", "2"))
    assert code == 3
    assert "late.mp4: expected a video or image" in error
    assert json.loads((out / ".faceaffect/failed/late.mp4.json").read_text())["uri"] == str(late)
    before = output_files(out)
    assert len(before) == 4
    late.unlink()
    make_video(late, FRAMES)
    code, error = finish(analyze(videos, "--out", out))
    assert code == 3
    assert "late.mp4: expected a video or image" in error
    assert output_files(out) == before
    code, error = finish(analyze(videos, "--out", out, "--retry-failed"))
    assert code == 0, error
    assert {name: output_files(out)[name] for name in before} == before
    assert_complete(out, videos, FRAMES)
    assert not (out / ".faceaffect/failed/late.mp4.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_batch_stopped_run_is_resumed_by_same_command(
    analyze: Analyze, long_videos: Path, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "results"
    process = analyze(long_videos, "--out", out, "--jobs", "2")
    wait_for(lambda: len(output_files(out)) >= 2, process)
    workers = children(process.pid)
    assert len(workers) == 2
    process.send_signal(number)
    ended, error = finish(process)
    assert ended == code
    assert "run the same command again to resume" in error or code < 0
    end_s = time.monotonic() + 20
    while any(is_running(pid) for pid in workers):  # they exit once their output is not read
        assert time.monotonic() < end_s
        time.sleep(0.02)
    kept = output_files(out)
    assert 2 <= len(kept) < 10
    code, error = finish(analyze(long_videos, "--out", out))
    assert code == 0, error
    assert_complete(out, long_videos, 400)
    assert {name: output_files(out)[name] for name in kept} == kept


def test_batch_killed_worker_loses_nothing(
    analyze: Analyze, long_videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    process = analyze(long_videos, "--out", out, "--jobs", "2")
    wait_for(lambda: len(output_files(out)) >= 1, process)
    os.kill(min(children(process.pid)), signal.SIGKILL)
    code, error = finish(process)
    assert code == 0, error
    assert_complete(out, long_videos, 400)


def test_batch_other_settings_are_refused_without_overwrite(
    analyze: Analyze, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    assert finish(analyze(videos, "--out", out, "--jobs", "1"))[0] == 0
    before = output_files(out)
    code, error = finish(analyze(videos, "--out", out, "--no-smoothing"))
    assert code == 1
    assert "smooth was True, is False" in error
    assert output_files(out) == before
    assert (
        finish(analyze(videos, "--out", out, "--no-smoothing", "--overwrite", "--jobs", "1"))[0]
        == 0
    )
    assert_complete(out, videos, FRAMES)
    assert all(output_files(out)[name] > then for name, then in before.items())


def test_batch_folder_with_foreign_files_is_refused(
    analyze: Analyze, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    out.mkdir()
    (out / "thesis.tex").touch()
    code, error = finish(analyze(videos, "--out", out))
    assert code == 1
    assert "contains files of no previous run (thesis.tex)" in error


def test_batch_parquet_files_form_one_dataset(
    analyze: Analyze, videos: Path, tmp_path: Path
) -> None:
    dataset = pytest.importorskip("pyarrow.dataset")
    out = tmp_path / "results"
    (videos / "bad.mp4").touch()
    code, error = finish(
        analyze(f"{videos}/**/*.mp4", "--out", out, "--output-format", "parquet", "--jobs", "2")
    )
    assert code == 3
    assert "an empty file" in error
    assert dataset.dataset(out, format="parquet").count_rows() == 4 * FRAMES


def test_batch_remote_inputs_and_outputs(analyze: Analyze, videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    out = tmp_path / "results"
    code, error = finish(
        analyze(f"local://{videos}/**/*.mp4", "--out", f"local://{out}", "--jobs", "2")
    )
    assert code == 0, error
    assert set(output_files(out)) == {f"v{number % 2}/{number}.mp4.csv" for number in range(4)}
    with (out / "v0" / "2.mp4.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == FRAMES
    assert rows[0]["source"] == str(videos / "v0" / "2.mp4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "rows.csv", "--output-format", "csv"], "--output-format needs an output folder"),
        (["--out", "rows.csv", "--ray", "local"], "--ray needs an output folder"),
        (["--out", "results/", "--overlay", "overlay.mp4"], "--overlay needs a single output"),
        (["--out", "results/", "--audio", "band.wav"], "--audio band.wav needs a single source"),
        (["--out", "results/", "--model", "none"], "model must be a bundle folder"),
    ],
)
def test_batch_invalid_options_fail_before_writing(
    videos: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from faceaffect.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        main(["analyze", str(videos), *arguments])
    assert exit_info.value.code in (1, 2)
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["videos"]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
