"""Image store of a scenario: corrupted images are computed once and memory-mapped."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from training.ablations.corrupted_images import CORRUPTIONS, VERSION, crop_rng
from training.ablations.scenarios import ScenarioData
from training.datasets.frame_table import absolute_paths
from training.datasets.image_store import ImageStore

_STREAM = 11  # random stream, distinct from those of the scenarios


def transformed_images(store: ImageStore, data: ScenarioData, folder: Path) -> ImageStore:
    """`store` itself if the scenario corrupts no images, else a new one in `folder`, shared by all
    seeds.
    """
    if not data.corruption or data.parameters is None:
        return store
    tables = (data.train, data.validation)
    paths = [path for table in tables for path in absolute_paths(table) if path is not None]
    indices = np.concatenate([store.indices(table) for table in tables])
    if len(paths) != len(data.parameters) or (indices < 0).any():
        raise ValueError(
            f"expected an image for each of the {len(data.parameters)} rows of a scenario that "
            f"corrupts images, got {len(paths)}"
        )
    digest = hashlib.sha256(
        "\n".join([data.corruption, str(VERSION), str(store.size_px), *paths]).encode()
        + data.parameters.tobytes()
    )
    file = folder / f"{data.corruption}-{store.size_px}px-{digest.hexdigest()[:16]}.npy"
    points = None if store.points is None else store.points[indices]
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        shape = (len(paths), store.size_px, store.size_px, 3)
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        corrupt = CORRUPTIONS[data.corruption]
        for k, (path, index) in enumerate(zip(paths, indices.tolist(), strict=True)):
            image = np.asarray(store.array[index])
            rng = crop_rng(path, _STREAM)
            array[k] = corrupt(image, float(data.parameters[k]), data.landmarks_xy[k], rng)
        array.flush()
        partial.replace(file)
    return ImageStore(paths, np.load(file, mmap_mode="r", allow_pickle=False), points)
