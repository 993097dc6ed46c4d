"""The images of a setting: a store of their own where the setting changes them, made once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from training.ablations.corrupted_images import CHANGES, VERSION, row_random
from training.ablations.scenarios import SettingData
from training.datasets.image_store import ImageStore, absolute_paths

_STREAM = 11  # of chance, apart from the settings' own


def transformed_images(store: ImageStore, data: SettingData, folder: Path) -> ImageStore:
    """The store itself where the setting leaves images alone; else a new one in `folder`, the same
    for every seed.
    """
    if not data.change or data.amounts is None:
        return store
    tables = (data.train, data.validation)
    paths = [path for table in tables for path in absolute_paths(table) if path is not None]
    places = np.concatenate([store.indices(table) for table in tables])
    if len(paths) != len(data.amounts) or (places < 0).any():
        raise ValueError(
            f"a setting that changes images needs one for every row: {len(data.amounts)} rows, {len(paths)} images"
        )
    digest = hashlib.sha256(
        "\n".join([data.change, str(VERSION), str(store.size_px), *paths]).encode()
        + data.amounts.tobytes()
    )
    file = folder / f"{data.change}-{store.size_px}px-{digest.hexdigest()[:16]}.npy"
    points = None if store.points is None else store.points[places]
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        shape = (len(paths), store.size_px, store.size_px, 3)
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        change = CHANGES[data.change]
        for k, (path, place) in enumerate(zip(paths, places.tolist(), strict=True)):
            image, amount = np.asarray(store.array[place]), float(data.amounts[k])
            array[k] = change(image, amount, data.landmarks_xy[k], row_random(path, _STREAM))
        array.flush()
        partial.replace(file)
    return ImageStore(paths, np.load(file, mmap_mode="r", allow_pickle=False), points)
