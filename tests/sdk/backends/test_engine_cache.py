"""Engine cache: exact keys, damage, locking between processes, full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from faceaffect.backends.engine_cache import CACHE_VARIABLE, EngineCache, EngineKey, user_cache_dir

KEY = EngineKey("ab" * 32, "TensorRT 10.3.0", "Orin", "8.7", 8, "fp16", 8, 112, None, None, False)
ENGINE = b"engine\n\x00with a line break"

OTHER_KEYS = [
    replace(KEY, onnx_sha256="cd" * 32),
    replace(KEY, library="TensorRT 10.13.3"),
    replace(KEY, library="TensorRT for RTX 10.3.0"),
    replace(KEY, device="Thor"),
    replace(KEY, compute_capability="11.0"),
    replace(KEY, precision="fp32"),
    replace(KEY, max_faces=4),
    replace(KEY, size_px=224),
    replace(KEY, dla_core=0),
]


def fail_if_called() -> bytes:
    raise AssertionError("must not be built again")


def test_find_or_build_builds_once(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    assert cache.find(KEY) is None
    assert cache.find_or_build(KEY, lambda: ENGINE) == ENGINE
    assert cache.find_or_build(KEY, fail_if_called) == ENGINE
    assert EngineCache(tmp_path).find(KEY) == ENGINE


@pytest.mark.parametrize("other", OTHER_KEYS, ids=lambda key: key.digest[:6])
def test_find_with_any_other_key_field_returns_none(tmp_path: Path, other: EngineKey) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: ENGINE)
    assert cache.find(other) is None
    # even under the other key's file name
    cache.path_for(KEY).replace(cache.path_for(other))
    assert cache.find(other) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content + b"x",
        lambda content: b"",
        lambda content: b"\xff\xfe" + content,
        lambda content: b"[]\n" + ENGINE,
        lambda content: b"[" * 100_000,
        lambda content: content.replace(b'"format": 3', b'"format": 2'),
    ],
)
def test_find_of_damaged_file_returns_none_and_is_rebuilt(tmp_path: Path, damage: object) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: ENGINE)
    path = cache.path_for(KEY)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cache.find(KEY) is None
    assert cache.find_or_build(KEY, lambda: b"new") == b"new"
    assert cache.find(KEY) == b"new"


def test_replace_rebuilds_rejected_engine(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: ENGINE)
    assert cache.replace(KEY, ENGINE, lambda: b"second") == b"second"
    assert cache.find(KEY) == b"second"


def test_replace_keeps_engine_of_another_process(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: b"by another process")
    assert cache.replace(KEY, ENGINE, fail_if_called) == b"by another process"


def test_find_or_build_removes_only_old_temp_files(tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    folder.mkdir()
    old, new = folder / ".engine-old", folder / ".engine-new"
    for path in (old, new):
        path.write_bytes(b"half an engine")
    os.utime(old, (time.time() - 7200,) * 2)
    EngineCache(tmp_path).find_or_build(KEY, lambda: ENGINE)
    assert not old.exists()
    assert new.exists()


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from faceaffect.backends.engine_cache import EngineCache, EngineKey
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
key = EngineKey(**json.loads(sys.argv[2]))
print(len(EngineCache(Path(sys.argv[1])).find_or_build(key, lambda: b"engine" * 1000)))
"""


def test_find_or_build_on_full_disk_returns_uncached_engine(tmp_path: Path) -> None:
    """A file size limit simulates the full disk: the write fails in the middle."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), json.dumps(asdict(KEY))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "6000\n", done.stderr
    assert "the engine cannot be cached in" in done.stderr
    assert "set FACEAFFECT_CACHE to another folder" in done.stderr
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".lock"], (
        "no partial file remains"
    )


def test_find_or_build_after_failed_build_builds_again(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)

    def fail() -> bytes:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cache.find_or_build(KEY, fail)
    assert list(tmp_path.rglob("*.engine")) == list(tmp_path.rglob(".engine-*")) == []
    assert cache.find_or_build(KEY, lambda: ENGINE) == ENGINE


def test_user_cache_dir_follows_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert EngineCache().path_for(KEY).parent == tmp_path / "engines"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert user_cache_dir() == tmp_path / "xdg" / "faceaffect"


ONE_OF_THREE = """
import json, sys, time
from pathlib import Path
from faceaffect.backends.engine_cache import EngineCache, EngineKey
folder, key = Path(sys.argv[1]), EngineKey(**json.loads(sys.argv[2]))
waits = []
def build():
    with (folder / "builds").open("a") as file:
        file.write("x")
    time.sleep(0.6)
    return b"engine" * 1000
(folder / f"ready{sys.argv[3]}").touch()
while not all((folder / f"ready{i}").exists() for i in range(3)):
    time.sleep(0.01)
engine = EngineCache(folder).find_or_build(key, build, on_wait=waits.append)
print(len(engine), len(waits))
"""


def test_find_or_build_in_concurrent_processes_builds_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_OF_THREE, str(tmp_path), json.dumps(asdict(KEY))]
    processes = [
        subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, text=True) for i in range(3)
    ]
    answers = sorted(process.communicate(timeout=60)[0].split()[0] for process in processes)
    assert answers == ["6000"] * 3
    assert (tmp_path / "builds").read_text() == "x"
