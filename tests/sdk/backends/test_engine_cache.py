"""Engines are found again only as what they are; two processes that start together build once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from faceaffect.backends.engine_cache import CACHE_VARIABLE, EngineCache, EngineKey, cache_folder

KEY = EngineKey("ab" * 32, "TensorRT 10.3.0", "Orin", "8.7", "fp16", 8, 112, None)
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
    replace(KEY, dla=0),
]


def never() -> bytes:
    raise AssertionError("it must not be built again")


def test_built_once_then_found(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    assert cache.find(KEY) is None
    assert cache.find_or_build(KEY, lambda: ENGINE) == ENGINE
    assert cache.find_or_build(KEY, never) == ENGINE
    assert EngineCache(tmp_path).find(KEY) == ENGINE


@pytest.mark.parametrize("other", OTHER_KEYS, ids=lambda key: key.digest[:6])
def test_every_part_of_the_key_counts(tmp_path: Path, other: EngineKey) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: ENGINE)
    assert cache.find(other) is None
    # even under the other's name
    cache.path_of(KEY).replace(cache.path_of(other))
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
        lambda content: content.replace(b'"format": 2', b'"format": 1'),
    ],
)
def test_damage_is_never_handed_out_and_is_repaired(tmp_path: Path, damage: object) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: ENGINE)
    path = cache.path_of(KEY)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cache.find(KEY) is None
    assert cache.find_or_build(KEY, lambda: b"new") == b"new"
    assert cache.find(KEY) == b"new"


def test_replace_builds_whatever_is_there(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: ENGINE)
    assert cache.replace(KEY, ENGINE, lambda: b"second") == b"second"
    assert cache.find(KEY) == b"second"


def test_what_another_process_has_replaced_is_not_built_again(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.find_or_build(KEY, lambda: b"by another process")
    assert cache.replace(KEY, ENGINE, never) == b"by another process"


def test_leftovers_of_killed_processes_go_and_files_in_the_making_stay(tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    folder.mkdir()
    old, new = folder / ".engine-old", folder / ".engine-new"
    for path in (old, new):
        path.write_bytes(b"half an engine")
    os.utime(old, (time.time() - 7200,) * 2)
    EngineCache(tmp_path).find_or_build(KEY, lambda: ENGINE)
    assert not old.exists()
    assert new.exists()


NO_ROOM = """
import json, resource, sys
from pathlib import Path
from faceaffect.backends.engine_cache import EngineCache, EngineKey
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
key = EngineKey(**json.loads(sys.argv[2]))
print(len(EngineCache(Path(sys.argv[1])).find_or_build(key, lambda: b"engine" * 1000)))
"""


def test_a_disk_without_room_costs_the_keeping_only(tmp_path: Path) -> None:
    """A limit on file sizes stands in for the full disk: the write breaks off in its middle."""
    command = [sys.executable, "-c", NO_ROOM, str(tmp_path), json.dumps(asdict(KEY))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "6000\n", done.stderr
    assert "the engine cannot be kept in" in done.stderr
    assert "FACEAFFECT_CACHE names another folder" in done.stderr
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".lock"], (
        "nothing half written stays"
    )


def test_a_failed_build_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)

    def fail() -> bytes:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cache.find_or_build(KEY, fail)
    assert list(tmp_path.rglob("*.engine")) == list(tmp_path.rglob(".engine-*")) == []
    assert cache.find_or_build(KEY, lambda: ENGINE) == ENGINE


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert EngineCache().path_of(KEY).parent == tmp_path / "engines"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "faceaffect"


ONE_OF_TWO = """
import json, sys, time
from pathlib import Path
from faceaffect.backends.engine_cache import EngineCache, EngineKey
folder, key = Path(sys.argv[1]), EngineKey(**json.loads(sys.argv[2]))
told = []
def build():
    with (folder / "builds").open("a") as file:
        file.write("x")
    time.sleep(0.6)
    return b"engine" * 1000
(folder / f"ready{sys.argv[3]}").touch()
while not all((folder / f"ready{i}").exists() for i in range(3)):
    time.sleep(0.01)
engine = EngineCache(folder).find_or_build(key, build, waiting=told.append)
print(len(engine), len(told))
"""


def test_processes_that_start_together_build_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_OF_TWO, str(tmp_path), json.dumps(asdict(KEY))]
    started = [
        subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, text=True) for i in range(3)
    ]
    answers = sorted(process.communicate(timeout=60)[0].split()[0] for process in started)
    assert answers == ["6000"] * 3
    assert (tmp_path / "builds").read_text() == "x"
