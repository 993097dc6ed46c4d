"""Cached engines are code: nobody else can put one there."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from faceaffect.backends.engine_cache import EngineCache, EngineKey

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs modes, links and pipes")

KEY = EngineKey("0" * 64, "TensorRT 10", "GPU", "9.0", 8, "fp16", 8, 112, None, None, False)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    cache = EngineCache(tmp_path)
    assert cache.find_or_build(KEY, lambda: b"engine") == b"engine"
    assert cache.find(KEY) == b"engine"
    return cache


def test_cache_and_engine_are_private(cache: EngineCache) -> None:
    path = cache.path_for(KEY)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_open_folder_of_ours_is_closed(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir(mode=0o777)
    (tmp_path / "engines").chmod(0o777)
    EngineCache(tmp_path).find_or_build(KEY, lambda: b"engine")
    assert stat.S_IMODE((tmp_path / "engines").stat().st_mode) == 0o700


def test_engine_that_others_can_write_is_not_used(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.path_for(KEY).chmod(0o666)
    assert cache.find(KEY) is None
    assert "only this user can write" in caplog.text
    assert cache.find_or_build(KEY, lambda: b"new") == b"new"
    assert cache.find(KEY) == b"new"


def test_folder_that_others_can_write_is_not_used(cache: EngineCache) -> None:
    cache.path_for(KEY).parent.chmod(0o777)
    assert cache.find(KEY) is None


def test_engine_behind_a_link_is_not_used(cache: EngineCache, tmp_path: Path) -> None:
    path = cache.path_for(KEY)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.find(KEY) is None


def test_folder_behind_a_link_is_not_used(cache: EngineCache, tmp_path: Path) -> None:
    (tmp_path / "engines").rename(tmp_path / "elsewhere")
    (tmp_path / "engines").symlink_to(tmp_path / "elsewhere")
    assert cache.find(KEY) is None
    assert cache.find_or_build(KEY, lambda: b"new") == b"new"
    assert not any(path.name.startswith(".engine-") for path in (tmp_path / "elsewhere").iterdir())


def test_pipe_in_place_of_an_engine_does_not_block(cache: EngineCache) -> None:
    path = cache.path_for(KEY)
    path.unlink()
    os.mkfifo(path, 0o600)
    found: list[bytes | None] = []
    thread = threading.Thread(target=lambda: found.append(cache.find(KEY)), daemon=True)
    thread.start()
    thread.join(20.0)
    assert found == [None]


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away"
)
def test_engine_of_another_user_is_not_used(cache: EngineCache) -> None:
    os.chown(cache.path_for(KEY), 12345, -1)
    assert cache.find(KEY) is None
