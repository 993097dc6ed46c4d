"""Runs in poor surroundings: closed streams, other encodings, removed folders, few descriptors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import faceaffect
from tests.sdk.cli import conftest
from tests.sdk.cli.conftest import SCRIPT, make_clip

RUN = f"{sys.executable} {SCRIPT} analyze"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(
        (str(Path(next(iter(faceaffect.__path__))).parent), str(SCRIPT.parents[3]))
    ),
    "OMP_NUM_THREADS": "1",
}
opened, run = conftest.opened, conftest.run


def shell(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        timeout=200,
        check=False,
    )


def test_run_with_closed_streams_writes_rows_to_their_file_alone(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", 9)
    done = shell(tmp_path, f"{RUN} clip.mp4 --out rows.csv <&- >&- 2>&-")
    assert done.returncode == 0
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["1", "2", "4", "5", "7", "8"]


def test_rows_for_closed_or_full_stdout_end_with_words(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", 9)
    closed = shell(tmp_path, f"{RUN} clip.mp4 >&-")
    assert (closed.returncode, b"standard output is closed" in closed.stderr) == (1, True)
    full = shell(tmp_path, f"{RUN} clip.mp4 > /dev/full")
    assert (full.returncode, b"No space left on device" in full.stderr) == (1, True)
    assert b"Traceback" not in closed.stderr + full.stderr


def test_rows_on_stdout_are_utf8_in_any_locale(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", 9).rename(tmp_path / "Zoë\x1b[2J.mp4")
    done = shell(
        tmp_path, f"{RUN} *.mp4", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONCOERCECLOCALE="0"
    )
    assert done.returncode == 0, done.stderr
    assert "Zoë\\x1b[2J.mp4,1," in done.stdout.decode("utf-8")
    assert b"\x1b" not in done.stdout + done.stderr


def test_run_in_removed_folder_ends_with_words(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", 9)
    command = f"mkdir gone && cd gone && rmdir ../gone && {RUN} {tmp_path}/clip.mp4 --out r.csv"
    done = shell(tmp_path, command)
    assert done.returncode == 1
    assert b"the current folder was removed" in done.stderr
    assert b"Traceback" not in done.stderr


def test_run_of_missing_input_leaves_no_file_in_the_way(
    run: conftest.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    assert run("analyze", tmp_path / "clip.mp4", "--out", out) == 1
    assert "there are no rows" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    make_clip(tmp_path / "clip.mp4", 9)
    assert run("analyze", tmp_path / "clip.mp4", "--out", out) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["clip.mp4", "rows.csv", "rows.csv.json"]


def test_batch_with_few_descriptors_loses_nothing_silently(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for number in range(3):
        make_clip(tmp_path / "videos" / f"{number}.mp4", 9)
    command = f"ulimit -n 12; {RUN} videos --out parts --jobs 2"
    done = shell(tmp_path, command)
    parts = list((tmp_path / "parts").glob("*.csv"))
    assert done.returncode != 0 or len(parts) == 3
    assert done.returncode == 0 or b"error" in done.stderr


READ_ONLY = """
mount --make-rprivate / && mount --bind {folder} {folder} && mount -o remount,bind,ro / &&
mount -t tmpfs -o ro none /dev/shm || exit 77
if touch /tmp/writable 2>/dev/null; then exit 77; fi
cd / && exec env -u HOME -u TMPDIR {command}
"""


@pytest.mark.usefixtures("trained")
@pytest.mark.skipif(sys.platform != "linux", reason="mounts file systems")
@pytest.mark.parametrize("source", ["videos", "videos/0.mp4"])
def test_run_without_places_to_write_but_its_output_is_complete(
    source: str, tmp_path: Path
) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    (tmp_path / "videos").mkdir()
    for number in range(3):
        make_clip(tmp_path / "videos" / f"{number}.mp4", 9)
    out = tmp_path / ("parts/" if source == "videos" else "rows.csv")
    command = f"{sys.executable} -m faceaffect analyze {tmp_path}/{source} --out {out} --jobs 2"
    script = READ_ONLY.format(folder=tmp_path, command=f"{command} --aligned-crops")
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script],
            env=ENVIRONMENT,
            capture_output=True,
            timeout=200,
            check=False,
        )
    except OSError as error:
        pytest.skip(f"unshare cannot run: {error}")
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("may not mount file systems here")
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in tmp_path.glob("parts/*.csv")) or [out.name]
    expected = ["0.mp4.csv", "1.mp4.csv", "2.mp4.csv"] if source == "videos" else ["rows.csv"]
    assert written == expected
    assert all(b"Traceback" not in line for line in done.stderr.splitlines())
