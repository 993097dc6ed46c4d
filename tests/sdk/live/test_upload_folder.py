"""The folder of uploads: private, and orphans of servers that were killed are deleted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from faceaffect.live.upload_folder import UploadFolder


def test_the_folder_is_private_and_deleted(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path)
    job = folder.create("job")
    (job / "upload").write_bytes(b"x")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(job.stat().st_mode) == 0o700
    folder.delete("job")
    assert not job.exists()
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_only_folders_of_ended_processes_are_deleted(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    orphan = tmp_path / f"faceaffect-uploads-{ended.pid}-00ff"
    ours = tmp_path / f"faceaffect-uploads-{os.getpid()}-00ff"
    other = tmp_path / "faceaffect-uploads-mine"
    for path in (orphan, ours, other):
        path.mkdir()
    folder = UploadFolder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([ours, other, folder.path])
