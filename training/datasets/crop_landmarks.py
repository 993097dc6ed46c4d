"""The 68 landmarks of stored crops by the shipped model, as the SDK has them at run time."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.backends import BackendOptions, open_backend
from faceaffect.bundle.bundle import DEFAULT_NAME, find_bundle, open_bundle
from faceaffect.kernels.activations import sigmoid
from faceaffect.labels import LANDMARK_COUNT
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable, absolute_paths
from training.datasets.image_store import ImageStore, build_lock
from training.datasets.progress_bar import track_progress
from training.datasets.read_crop import read_crop

_BATCH: Final = 64
MIN_FACE_PROBABILITY: Final = 0.5  # landmarks of crops below it are discarded


def with_landmarks(
    store: ImageStore, table: FrameTable, folder: Path, progress: bool = True
) -> ImageStore:
    """Add landmarks of every image to the store of `table`; cached in `folder`."""
    bundle = open_bundle(find_bundle(DEFAULT_NAME))
    digest = hashlib.sha256("|".join((*store.paths, *sorted(bundle.spec.files.values()))).encode())
    for path in store.paths:
        digest.update(str(os.stat(path).st_mtime_ns).encode())
    stem = folder / f"{table.root.resolve().name or 'root'}-landmarks-{digest.hexdigest()[:16]}"
    file = stem.with_suffix(".npy")
    with build_lock(stem):
        if not file.is_file():
            partial = stem.with_suffix(".partial")
            with partial.open("wb") as out:
                np.save(out, _predict_landmarks(table, progress), allow_pickle=False)
            partial.replace(file)
    relative_xy = np.load(file, allow_pickle=False)
    landmarks_xy = (relative_xy * store.size_px - 0.5).astype(np.float32)
    return ImageStore(store.paths, store.array, landmarks_xy)


def _predict_landmarks(table: FrameTable, progress: bool) -> NDArray[np.float32]:
    """Landmarks [n, 68, 2] of the rows with an image, as fractions of the crop side.

    NaN where the model detects no face.
    """
    bundle = open_bundle(find_bundle(DEFAULT_NAME))
    crop = bundle.spec.crop
    backend = open_backend("onnx", bundle, options=BackendOptions(threads=os.cpu_count() or 1))
    rows = np.array(
        [row for row, path in enumerate(absolute_paths(table)) if path is not None], np.int64
    )
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (crop.mean, crop.std))
    landmarks = np.full((len(rows), LANDMARK_COUNT, 2), np.nan, np.float32)

    def image(row: int) -> NDArray[np.float32]:
        try:
            return read_crop(table, row, crop.size_px)
        except BrokenFileError:
            return np.zeros((3, crop.size_px, crop.size_px), np.float32)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in track_progress(
            range(0, len(rows), _BATCH), "predicting landmarks", progress=progress
        ):
            crops = np.stack(list(pool.map(image, rows[start : start + _BATCH].tolist())))
            heads = backend.infer(((crops - mean) / std).astype(np.float32))
            is_face = sigmoid(np.asarray(heads["face_logit"])).reshape(-1) >= MIN_FACE_PROBABILITY
            points = (np.asarray(heads["landmarks_px"]) + 0.5) / crop.size_px
            landmarks[start : start + _BATCH] = np.where(is_face[:, None, None], points, np.nan)
    return landmarks
