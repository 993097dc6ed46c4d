"""Crops of a table as one array on disk: decoded once, then mapped into memory, whatever becomes of
the table.

Reading and cutting JPEGs anew at every step takes longer than most compact networks need for the
step itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceaffect.labels import LANDMARK_COUNT
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_samples import FrameSamples, SampleConfig
from training.datasets.frame_table import FrameTable
from training.datasets.progress_bar import track_progress

_CHUNK: Final = 512  # images between two notes of how far a file is
_TABLES_REMEMBERED: Final = 8


class ImageStore:
    """Images [n, S, S, 3] uint8 RGB by their absolute paths, and, if known, their 68 landmarks [n,
    68, 2] in stored pixels.

    Tables are looked up by path, so rows may be picked, joined and relabelled freely.
    """

    def __init__(
        self,
        paths: Sequence[str],
        array: NDArray[np.uint8],
        points: NDArray[np.float32] | None = None,
    ) -> None:
        if (
            array.ndim != 4
            or array.shape[1] != array.shape[2]
            or array.shape[3] != 3
            or len(array) != len(paths)
        ):
            raise ValueError(f"images must be [{len(paths)}, S, S, 3], got {list(array.shape)}")
        if points is not None and points.shape != (len(paths), LANDMARK_COUNT, 2):
            raise ValueError(
                f"landmarks must be [{len(paths)}, {LANDMARK_COUNT}, 2], got {list(points.shape)}"
            )
        self.paths, self.array, self.points = tuple(paths), array, points
        self._index = pa.array(self.paths, pa.string())
        self._remembered: dict[int, tuple[FrameTable, NDArray[np.int64]]] = {}

    @property
    def size_px(self) -> int:
        return int(self.array.shape[1])

    def places(self, table: FrameTable) -> NDArray[np.int64]:
        """Place [N] of each row's image in the array, -1 where the row has none; KeyError for one
        that is not stored.
        """
        known = self._remembered.get(id(table))
        if known is not None and known[0] is table:
            return known[1]
        expected = pa.array(absolute_paths(table), pa.string())
        found = pc.index_in(expected, value_set=self._index)
        missing = pc.and_(pc.is_null(found), pc.is_valid(expected))
        if pc.any(missing).as_py():
            example = expected.filter(missing)[0].as_py()
            raise KeyError(
                f"{pc.sum(missing).as_py()} images of the table are not stored, such as {example}"
            )
        places = np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
        if len(self._remembered) >= _TABLES_REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[id(table)] = (table, places)
        return places

    def read(self, table: FrameTable, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images [..., S, S, 3] of rows [...]; black for rows of -1 and rows without an image."""
        places = _at(self.places(table), rows)
        return self._taken(self.array, places, 0)

    def read_landmarks(self, table: FrameTable, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Landmarks [..., 68, 2] in pixels of the stored images, NaN where unknown."""
        places = _at(self.places(table), rows)
        if self.points is None:
            return np.full((*places.shape, LANDMARK_COUNT, 2), np.nan, np.float32)
        return self._taken(self.points, places, np.nan)

    @staticmethod
    def _taken(array: NDArray[Any], places: NDArray[np.int64], empty: float) -> NDArray[Any]:
        taken = np.asarray(array[np.maximum(places, 0).ravel()]).reshape(
            *places.shape, *array.shape[1:]
        )
        if (places < 0).any():
            taken[places < 0] = empty
        return taken


def concat_stores(stores: Sequence[ImageStore]) -> ImageStore:
    """Several stores of one size as one, in memory."""
    points = None
    if all(store.points is not None for store in stores):
        points = np.concatenate([store.points for store in stores])  # type: ignore[misc]
    paths = [path for store in stores for path in store.paths]
    return ImageStore(paths, np.concatenate([store.array for store in stores]), points)


def absolute_paths(table: FrameTable) -> list[str | None]:
    """Absolute path of each row's image, None where it has none."""
    root = table.root.resolve()
    return [None if name is None else os.path.join(root, name) for name in table.path.to_pylist()]


def build_store(
    table: FrameTable, size_px: int, folder: Path, progress: bool = True
) -> tuple[ImageStore, list[str]]:
    """The store of a table's images at one size, made in `folder` where it is not there, and paths
    that cannot be read.

    The key covers paths, sizes and times of change. Decoding that is broken off goes on where it
    was. OSError where the disk has no room for it.
    """
    rows = np.flatnonzero(table.has_crop)
    paths = [path for path in absolute_paths(table) if path is not None]
    if not paths:
        raise ValueError(
            f"{table.root} holds no image to train on (expected cropped_aligned/<video>/NNNNN.jpg)"
        )
    stem = folder / f"{table.root.resolve().name or 'root'}-{size_px}px-{_key(paths, size_px)}"
    data, note = stem.with_suffix(".npy"), stem.with_suffix(".json")
    folder.mkdir(parents=True, exist_ok=True)
    with build_lock(stem):
        if not (data.is_file() and note.is_file()):
            _decode(table, rows, size_px, stem, progress)
    array = np.load(data, mmap_mode="r", allow_pickle=False)
    broken = json.loads(note.read_text(encoding="utf-8"))["broken"]
    return ImageStore(paths, array), [paths[k] for k in broken]


@contextmanager
def build_lock(stem: Path) -> Iterator[None]:
    """Other processes that want the same file wait here until it is made."""
    with stem.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _key(paths: Sequence[str], size_px: int) -> str:
    digest = hashlib.sha256(str(size_px).encode())
    for path in paths:
        stat = os.stat(path)
        digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def _decode(
    table: FrameTable, rows: NDArray[np.int64], size_px: int, stem: Path, progress: bool
) -> None:
    partial, note = stem.with_suffix(".partial"), stem.with_suffix(".done")
    array, done, broken = _begun(partial, note, (len(rows), size_px, size_px, 3))
    samples = FrameSamples(table, SampleConfig(size_px=size_px))

    def one(place: int) -> int | None:
        try:
            image = samples.batch(rows[place : place + 1])["image"][0]
        except BrokenFileError:
            return place
        array[place] = (image * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
        return None

    starts = range(done, len(rows), _CHUNK)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in track_progress(
            starts, f"decoding {len(rows):,} images at {size_px} px", progress=progress
        ):
            end = min(start + _CHUNK, len(rows))
            broken += [place for place in pool.map(one, range(start, end)) if place is not None]
            array.flush()
            note.write_text(json.dumps({"done": end, "broken": broken}), encoding="utf-8")
    stem.with_suffix(".json").write_text(json.dumps({"broken": broken}), encoding="utf-8")
    partial.replace(stem.with_suffix(".npy"))
    note.unlink()


def _begun(
    partial: Path, note: Path, shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], int, list[int]]:
    """The file as far as it is made, how many images it holds, and which of them cannot be read."""
    if partial.is_file() and note.is_file():
        said = json.loads(note.read_text(encoding="utf-8"))
        return np.lib.format.open_memmap(partial, mode="r+"), said["done"], said["broken"]
    needed, free = int(np.prod(shape)), shutil.disk_usage(partial.parent).free
    if free < needed:
        raise OSError(
            f"{shape[0]:,} images of {shape[1]} px need {needed / 1e9:.1f} GB in {partial.parent}, {free / 1e9:.1f} GB are "
            "free; choose another --cache or a smaller net.size_px"
        )
    return np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape), 0, []


def _at(places: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.asarray(rows, np.int64)
    return np.where(rows >= 0, places[np.maximum(rows, 0)], -1)
