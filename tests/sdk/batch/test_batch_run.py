"""`faceaffect analyze ... --out FOLDER` as a user runs it: nothing lost, nothing twice, whatever
ends the run.
"""

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
def archive(tmp_path: Path) -> Path:
    for number in range(4):
        make_video(tmp_path / "archive" / f"v{number % 2}" / f"{number}.mp4", FRAMES)
    return tmp_path / "archive"


@pytest.fixture
def long_archive(tmp_path: Path) -> Path:
    for number in range(10):
        make_video(tmp_path / "archive" / f"{number}.mp4", 400)
    return tmp_path / "archive"


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, error = process.communicate(timeout=120)
    assert "Traceback" not in error, error
    return process.returncode, error


def parts(out: Path) -> dict[str, int]:
    """Names of the parts and when they were written."""
    return {name: (out / name).stat().st_mtime_ns for name in open_store(str(out)).names()}


def assert_whole(out: Path, archive: Path, frames: int) -> None:
    """One part per video, which holds every frame of that video once, and nothing is left over."""
    videos = {path.relative_to(archive).as_posix(): path for path in archive.rglob("*.mp4")}
    assert set(parts(out)) == {f"{name}.csv" for name in videos}
    for name, path in videos.items():
        with (out / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [int(row["frame"]) for row in rows] == list(range(frames))
        assert {row["source"] for row in rows} == {str(path)}
        assert {row["track_id"] for row in rows} == {"1"}
    assert not (out / ".faceaffect" / "work").exists()


def test_a_part_per_video_equals_the_rows_of_that_video_alone(
    analyze: Analyze, archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    code, error = finish(analyze(archive, "--out", out, "--jobs", "2"))
    assert code == 0, error
    assert_whole(out, archive, FRAMES)
    assert "4 inputs (0 more were there already)" in error
    assert "minutes per hour of video" in error
    alone = tmp_path / "alone.csv"
    assert finish(analyze(archive / "v1" / "3.mp4", "--out", alone))[0] == 0
    assert alone.read_bytes() == (out / "v1" / "3.mp4.csv").read_bytes()


def test_what_failed_is_listed_and_tried_again_only_when_asked(
    analyze: Analyze, archive: Path, tmp_path: Path
) -> None:
    out, late = tmp_path / "parts", archive / "late.mp4"
    late.write_text("no video")
    code, error = finish(analyze(archive, "--out", out, "--jobs", "2"))
    assert code == 1
    assert "late.mp4: expected a video or image" in error
    assert json.loads((out / ".faceaffect/failed/late.mp4.json").read_text())["uri"] == str(late)
    before = parts(out)
    assert len(before) == 4
    late.unlink()
    make_video(late, FRAMES)
    code, error = finish(analyze(archive, "--out", out))
    assert code == 1
    assert "late.mp4: expected a video or image" in error
    assert parts(out) == before
    code, error = finish(analyze(archive, "--out", out, "--retry"))
    assert code == 0, error
    assert {name: parts(out)[name] for name in before} == before
    assert_whole(out, archive, FRAMES)
    assert not (out / ".faceaffect/failed/late.mp4.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_was_ended_goes_on_where_it_was(
    analyze: Analyze, long_archive: Path, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "parts"
    process = analyze(long_archive, "--out", out, "--jobs", "2")
    wait_for(lambda: len(parts(out)) >= 2, process)
    workers = children(process.pid)
    assert len(workers) == 2
    process.send_signal(number)
    ended, error = finish(process)
    assert ended == code
    assert "the same command goes on" in error or code < 0
    end_s = time.monotonic() + 20
    while any(is_running(pid) for pid in workers):  # without a listener they end by themselves
        assert time.monotonic() < end_s
        time.sleep(0.02)
    kept = parts(out)
    assert 2 <= len(kept) < 10
    code, error = finish(analyze(long_archive, "--out", out))
    assert code == 0, error
    assert_whole(out, long_archive, 400)
    assert {name: parts(out)[name] for name in kept} == kept


def test_a_worker_that_is_killed_loses_nothing(
    analyze: Analyze, long_archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    process = analyze(long_archive, "--out", out, "--jobs", "2")
    wait_for(lambda: len(parts(out)) >= 1, process)
    os.kill(min(children(process.pid)), signal.SIGKILL)
    code, error = finish(process)
    assert code == 0, error
    assert_whole(out, long_archive, 400)


def test_other_settings_are_refused_and_overwrite_begins_again(
    analyze: Analyze, archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    assert finish(analyze(archive, "--out", out, "--jobs", "1"))[0] == 0
    before = parts(out)
    code, error = finish(analyze(archive, "--out", out, "--no-smooth"))
    assert code == 1
    assert "smooth was True, is False" in error
    assert parts(out) == before
    assert (
        finish(analyze(archive, "--out", out, "--no-smooth", "--overwrite", "--jobs", "1"))[0] == 0
    )
    assert_whole(out, archive, FRAMES)
    assert all(parts(out)[name] > then for name, then in before.items())


def test_files_that_no_run_made_are_not_written_among(
    analyze: Analyze, archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    out.mkdir()
    (out / "thesis.tex").touch()
    code, error = finish(analyze(archive, "--out", out))
    assert code == 1
    assert "files are there that no run made (thesis.tex)" in error


def test_parquet_parts_are_one_data_set(analyze: Analyze, archive: Path, tmp_path: Path) -> None:
    dataset = pytest.importorskip("pyarrow.dataset")
    out = tmp_path / "parts"
    (archive / "bad.mp4").touch()
    code, error = finish(
        analyze(f"{archive}/**/*.mp4", "--out", out, "--format", "parquet", "--jobs", "2")
    )
    assert code == 1
    assert "this file is empty" in error
    assert dataset.dataset(out, format="parquet").count_rows() == 4 * FRAMES


def test_remote_inputs_and_parts(analyze: Analyze, archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    out = tmp_path / "parts"
    code, error = finish(
        analyze(f"local://{archive}/**/*.mp4", "--out", f"local://{out}", "--jobs", "2")
    )
    assert code == 0, error
    assert set(parts(out)) == {f"v{number % 2}/{number}.mp4.csv" for number in range(4)}
    with (out / "v0" / "2.mp4.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == FRAMES
    assert rows[0]["source"] == str(archive / "v0" / "2.mp4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "rows.csv", "--format", "csv"], "--format is for many outputs"),
        (["--out", "rows.csv", "--ray", "local"], "--ray is for many outputs"),
        (["--out", "parts/", "--overlay", "seen.mp4"], "--overlay draws one output"),
        (["--out", "parts/", "--audio", "band.wav"], "--audio band.wav goes with one source"),
        (["--out", "parts/", "--model", "none"], "model must be a bundle folder"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    archive: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from faceaffect.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["analyze", str(archive), *arguments])
    assert left.value.code in (1, 2)
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
