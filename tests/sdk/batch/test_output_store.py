"""Tests of output stores, local and remote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceaffect.batch import BatchError, OutputStore, open_store
from faceaffect.batch.output_store import RUN, WORK, read_json


@pytest.fixture(params=["disk", "memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutputStore]:
    if request.param == "disk":
        yield open_store(str(tmp_path / "results"))
        return
    fsspec = pytest.importorskip("fsspec")
    yield open_store(
        "memory://results" if request.param == "memory" else f"local://{tmp_path}/results"
    )
    if request.param == "memory":
        fsspec.filesystem("memory").rm("/results", recursive=True)


def publish(store: OutputStore, name: str, text: str) -> None:
    with store.work_folder() as folder:
        file = folder / "file"
        file.write_text(text)
        assert name not in store.names()
        store.publish(file, name)


def test_publish_is_atomic_and_state_files_are_not_outputs(store: OutputStore) -> None:
    with store.lock():
        assert store.names() == set()
        publish(store, "deep/a.csv", "rows")
        store.write(RUN, "{}")
        assert store.names() == {"deep/a.csv"}
        assert store.read("deep/a.csv") == "rows"
        assert store.read("b.csv") is None
    assert store.names(WORK) == set()
    assert store.names("deep") == {"a.csv"}


def test_publish_replaces_existing_file(store: OutputStore) -> None:
    publish(store, "a.csv", "old")
    with store.work_folder() as folder:
        (folder / "new").write_text("new")
        store.publish(folder / "new", "a.csv")
    assert store.read("a.csv") == "new"
    store.remove("a.csv")
    store.remove("a.csv")
    assert store.names() == set()


def test_read_json_damaged_raises(store: OutputStore) -> None:
    assert read_json(store, RUN) is None
    store.write(RUN, "{half")
    with pytest.raises(BatchError, match=r"run\.json is damaged"):
        read_json(store, RUN)


def test_lock_removes_unfinished_files(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    left = tmp_path / WORK / "tmpx" / "output.csv"
    left.parent.mkdir(parents=True)
    left.touch()
    with store.lock():
        assert not left.exists()


def test_lock_held_by_other_process_raises(tmp_path: Path) -> None:
    code = (
        f"from faceaffect.batch import open_store\nwith open_store({str(tmp_path)!r}).lock(): pass"
    )
    with open_store(str(tmp_path)).lock():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another run is writing here" in done.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_open_store_unknown_scheme_raises() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(BatchError, match="nosuchscheme://bucket: cannot be opened"):
        open_store("nosuchscheme://bucket")
