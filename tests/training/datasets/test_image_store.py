"""Image stores: contents, lookup by path, caching and resuming."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.datasets.synthetic_table import make_synthetic_table
from training.datasets import image_store as image_store
from training.datasets.frame_table import FrameTable, concat_tables
from training.datasets.image_store import ImageStore, build_store, concat_stores

pytestmark = pytest.mark.train


def faces(
    root: Path, count: int = 5, side: int = 20, video: str = "one"
) -> tuple[FrameTable, np.ndarray]:
    """A table of one video of PNG images, and the images as RGB."""
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    table = make_synthetic_table({video: list(range(1, count + 1))}, root=root)
    for row, image in enumerate(images):
        path = table.path_of(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[:, :, ::-1])
    return table, images


def test_build_store_holds_images_on_disk(tmp_path: Path) -> None:
    table, images = faces(tmp_path / "set")
    store, broken = build_store(table, 20, tmp_path / "cache")
    assert broken == []
    assert store.size_px == 20
    assert (store.read(table, np.arange(5)) == images).all()


def test_store_finds_rows_of_derived_tables(tmp_path: Path) -> None:
    first, one = faces(tmp_path / "first")
    second, two = faces(tmp_path / "second", 3, video="two")
    stores = [build_store(table, 20, tmp_path / "cache")[0] for table in (first, second)]
    joined, both = concat_tables([first, second]), concat_stores(stores)
    assert (both.read(joined, np.array([4, 5, 7])) == np.stack([one[4], two[0], two[2]])).all()
    assert (stores[0].read(first.select(np.array([3, 1])), np.array([1, 0])) == one[[1, 3]]).all()
    with pytest.raises(KeyError, match="3 images of the table are not stored"):
        stores[0].read(joined, np.array([0]))


def test_store_returns_black_for_missing_rows(tmp_path: Path) -> None:
    table, images = faces(tmp_path / "set")
    store, _ = build_store(table, 20, tmp_path / "cache")
    without = make_synthetic_table({"one": [1, 2, 3, 4, 5]}, no_crop=(2,), root=tmp_path / "set")
    read = store.read(without, np.array([[-1, 1], [2, 4]]))
    assert read.shape == (2, 2, 20, 20, 3)
    assert not read[0, 0].any()
    assert not read[1, 0].any()
    assert (read[:, 1] == images[[1, 4]]).all()
    assert np.isnan(store.read_landmarks(table, np.array([0]))).all()


def test_build_store_after_image_change_decodes_again(tmp_path: Path) -> None:
    table, _ = faces(tmp_path / "set")
    build_store(table, 20, tmp_path / "cache")
    cv2.imwrite(str(table.path_of(0)), np.zeros((20, 20, 3), np.uint8))
    os.utime(table.path_of(0), ns=(1, 1))
    store, _ = build_store(table, 20, tmp_path / "cache")
    assert not store.read(table, np.array([0])).any()


def test_build_store_reports_broken_images(tmp_path: Path) -> None:
    table, images = faces(tmp_path / "set")
    table.path_of(3).write_bytes(b"no image")
    for _ in range(2):  # the second time out of the cache
        store, broken = build_store(table, 20, tmp_path / "cache")
        assert broken == [str(table.path_of(3))]
        assert (store.read(table, np.array([2, 4])) == images[[2, 4]]).all()


def test_build_store_after_interruption_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, images = faces(tmp_path / "set", 7)
    monkeypatch.setattr(image_store, "_CHUNK", 2)
    dump = json.dumps
    calls = []

    def stop(value: object) -> str:
        calls.append(value)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return dump(value)

    monkeypatch.setattr(image_store.json, "dumps", stop)
    with pytest.raises(KeyboardInterrupt):
        build_store(table, 20, tmp_path / "cache")
    monkeypatch.setattr(image_store.json, "dumps", dump)
    for row in range(4):  # done before the stop; not looked at again
        stat = os.stat(table.path_of(row))
        table.path_of(row).write_bytes(b"x" * stat.st_size)
        os.utime(table.path_of(row), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    store, broken = build_store(table, 20, tmp_path / "cache")
    assert broken == []
    assert (store.read(table, np.arange(7)) == images).all()


def test_build_store_with_invalid_input_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, _ = faces(tmp_path / "set")
    with pytest.raises(ValueError, match=r"has no images"):
        build_store(make_synthetic_table({"one": [1]}, no_crop=(0,)), 20, tmp_path / "cache")
    monkeypatch.setattr(
        image_store.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})()
    )
    with pytest.raises(OSError, match=r"5 images of 20 px need .* choose another --cache"):
        build_store(table, 20, tmp_path / "cache")
    with pytest.raises(ValueError, match=r"expected images \[2, S, S, 3\]"):
        ImageStore(["a", "b"], np.zeros((1, 4, 4, 3), np.uint8))
