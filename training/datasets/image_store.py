"""Crops of a table in one memory-mapped array that is decoded once.

Decoding and cropping JPEGs at every step takes longer than the step itself for most compact
networks.
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
from training.datasets.frame_table import FrameTable, absolute_paths
from training.datasets.progress_bar import track_progress
from training.datasets.read_crop import read_crop

_CHUNK: Final = 512  # images between two progress records of a partial file
_MAX_CACHED_TABLES: Final = 8


class JoinedImages:
    """Arrays of images [n, S, S, 3] read as one, each possibly on disk."""

    ndim = 4

    def __init__(self, arrays: Sequence[Images]) -> None:
        self._arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])
        sizes = {array.shape[1:] for array in arrays}
        if len(sizes) != 1:
            raise ValueError(f"expected images of one size, got {sorted(sizes)}")
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *sizes.pop())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Images of an index or of an array of indices."""
        indices = np.asarray(index)
        flat = np.atleast_1d(indices)
        images = np.empty((len(flat), *self.shape[1:]), np.uint8)
        part = np.searchsorted(self._starts, flat, side="right") - 1
        for k in np.unique(part):
            images[part == k] = self._arrays[k][flat[part == k] - self._starts[k]]
        return images if indices.ndim else images[0]


Images = NDArray[np.uint8] | JoinedImages


class ImageStore:
    """Images [n, S, S, 3] uint8 RGB by absolute path, with optional landmarks [n, 68, 2] in pixels.

    Rows are looked up by image path, so tables may be selected, concatenated and relabeled.
    """

    def __init__(
        self,
        paths: Sequence[str],
        array: Images,
        points: NDArray[np.float32] | None = None,
    ) -> None:
        if (
            array.ndim != 4
            or array.shape[1] != array.shape[2]
            or array.shape[3] != 3
            or len(array) != len(paths)
        ):
            raise ValueError(f"expected images [{len(paths)}, S, S, 3], got {list(array.shape)}")
        if points is not None and points.shape != (len(paths), LANDMARK_COUNT, 2):
            raise ValueError(
                f"expected landmarks [{len(paths)}, {LANDMARK_COUNT}, 2], got {list(points.shape)}"
            )
        self.paths = tuple(paths)
        self.array = array
        self.points = points
        self._index = pa.array(self.paths, pa.string())
        self._indices_of_table: dict[int, tuple[FrameTable, NDArray[np.int64]]] = {}

    @property
    def size_px(self) -> int:
        return int(self.array.shape[1])

    def indices(self, table: FrameTable) -> NDArray[np.int64]:
        """Array index [N] of each row's image, -1 for none; KeyError if an image is not stored."""
        known = self._indices_of_table.get(id(table))
        if known is not None and known[0] is table:
            return known[1]
        paths = pa.array(absolute_paths(table), pa.string())
        indices = pc.index_in(paths, value_set=self._index)
        missing = pc.and_(pc.is_null(indices), pc.is_valid(paths))
        if pc.any(missing).as_py():
            example = paths.filter(missing)[0].as_py()
            raise KeyError(
                f"{pc.sum(missing).as_py()} images of the table are not stored, such as {example}"
            )
        result = np.asarray(indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
        if len(self._indices_of_table) >= _MAX_CACHED_TABLES:
            self._indices_of_table.pop(next(iter(self._indices_of_table)))
        self._indices_of_table[id(table)] = (table, result)
        return result

    def read(self, table: FrameTable, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images [..., S, S, 3] of rows [...]; black for rows of -1 and rows without an image."""
        return self._take(self.array, _rows_to_indices(self.indices(table), rows), 0)

    def read_landmarks(self, table: FrameTable, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Landmarks [..., 68, 2] of rows [...] in pixels of the stored images, NaN if unknown."""
        indices = _rows_to_indices(self.indices(table), rows)
        if self.points is None:
            return np.full((*indices.shape, LANDMARK_COUNT, 2), np.nan, np.float32)
        return self._take(self.points, indices, np.nan)

    @staticmethod
    def _take(array: Any, indices: NDArray[np.int64], empty: float) -> NDArray[Any]:
        values = np.asarray(array[np.maximum(indices, 0).ravel()]).reshape(
            *indices.shape, *array.shape[1:]
        )
        if (indices < 0).any():
            values[indices < 0] = empty
        return values


def concat_stores(stores: Sequence[ImageStore]) -> ImageStore:
    """Concatenate stores of one image size, whose images stay where they are."""
    paths = [path for store in stores for path in store.paths]
    points = None
    if any(store.points is not None for store in stores):
        points = np.concatenate([_points_of(store) for store in stores])
    return ImageStore(paths, JoinedImages([store.array for store in stores]), points)


def _points_of(store: ImageStore) -> NDArray[np.float32]:
    """Landmarks of all images, NaN where unknown."""
    if store.points is not None:
        return store.points
    return np.full((len(store.paths), LANDMARK_COUNT, 2), np.nan, np.float32)


def build_store(
    table: FrameTable, size_px: int, folder: Path, progress: bool = True
) -> tuple[ImageStore, list[str]]:
    """Decode the images of a table to one size, cached in `folder`.

    The cache key covers paths, file sizes and modification times. Interrupted decoding resumes.

    Returns:
        The store, and the paths of images that cannot be decoded (black in the store).

    Raises:
        ValueError: the table has no images.
        OSError: there is not enough disk space.
    """
    rows = np.flatnonzero(table.has_crop)
    paths = [path for path in absolute_paths(table) if path is not None]
    if not paths:
        raise ValueError(f"{table.root} has no images; expected cropped_aligned/<video>/NNNNN.jpg")
    stem = folder / f"{table.root.resolve().name or 'root'}-{size_px}px-{_key(paths, size_px)}"
    data = stem.with_suffix(".npy")
    metadata = stem.with_suffix(".json")
    folder.mkdir(parents=True, exist_ok=True)
    with build_lock(stem):
        if not (data.is_file() and metadata.is_file()):
            _decode(table, rows, size_px, stem, progress)
    array = np.load(data, mmap_mode="r", allow_pickle=False)
    broken = json.loads(metadata.read_text(encoding="utf-8"))["broken"]
    return ImageStore(paths, array), [paths[k] for k in broken]


@contextmanager
def build_lock(stem: Path) -> Iterator[None]:
    """Hold a file lock, so that only one process makes a file and others wait for it."""
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
    partial = stem.with_suffix(".partial")
    state = stem.with_suffix(".done")
    array, done, broken = _open_partial(partial, state, (len(rows), size_px, size_px, 3))

    def decode(index: int) -> int | None:
        try:
            crop = read_crop(table, int(rows[index]), size_px)
        except BrokenFileError:
            return index
        array[index] = np.rint(crop * 255).transpose(1, 2, 0).astype(np.uint8)
        return None

    starts = range(done, len(rows), _CHUNK)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in track_progress(
            starts, f"decoding {len(rows):,} images at {size_px} px", progress=progress
        ):
            end = min(start + _CHUNK, len(rows))
            broken += [k for k in pool.map(decode, range(start, end)) if k is not None]
            array.flush()
            state.write_text(json.dumps({"done": end, "broken": broken}), encoding="utf-8")
    stem.with_suffix(".json").write_text(json.dumps({"broken": broken}), encoding="utf-8")
    partial.replace(stem.with_suffix(".npy"))
    state.unlink()


def _open_partial(
    partial: Path, state: Path, shape: tuple[int, ...]
) -> tuple[np.memmap[Any, np.dtype[np.uint8]], int, list[int]]:
    """Open or create a partial file; also the number of decoded images and the broken ones."""
    if partial.is_file() and state.is_file():
        progress = json.loads(state.read_text(encoding="utf-8"))
        return np.lib.format.open_memmap(partial, mode="r+"), progress["done"], progress["broken"]
    needed = int(np.prod(shape))
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        raise OSError(
            f"{shape[0]:,} images of {shape[1]} px need {needed / 1e9:.1f} GB in {partial.parent}, "
            f"{free / 1e9:.1f} GB are free; choose another --cache or a smaller net.size_px"
        )
    return np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape), 0, []


def _rows_to_indices(indices: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.asarray(rows, np.int64)
    return np.where(rows >= 0, indices[np.maximum(rows, 0)], -1)
