"""Registry of the dataset readers, with caching of their tables."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from training.datasets import affwild2
from training.datasets.afew_va import read_afew_va
from training.datasets.affectnet import read_affectnet
from training.datasets.bp4d import read_bp4d
from training.datasets.dfew import read_dfew
from training.datasets.disfa import read_disfa
from training.datasets.expw import read_expw
from training.datasets.frame_table import FrameTable
from training.datasets.table_cache import DEFAULT_CACHE, folder_key, load_or_scan

READERS: Final[dict[str, Callable[..., FrameTable]]] = {
    "affwild2": affwild2.read_affwild2,
    "affectnet": read_affectnet,
    "expw": read_expw,
    "bp4d": read_bp4d,
    "disfa": read_disfa,
    "dfew": read_dfew,
    "afew-va": read_afew_va,
}
_TEXTS: Final = (".csv", ".lst", ".txt", ".json")


def load_cached(
    kind: str,
    folder: Path | str,
    *,
    cache: Path = DEFAULT_CACHE,
    progress: bool = True,
    **options: Any,
) -> FrameTable:
    """The table of `READERS[kind](folder, **options)`, cached while the folder is unchanged.

    The cache key covers the content of text files, size and modification time of .npy files, and
    the names of all files.
    """
    if kind not in READERS:
        raise ValueError(f"expected one of {', '.join(READERS)}, got {kind!r}")
    if kind == "affwild2":
        return affwild2.load_cached(folder, cache=cache, progress=progress, **options)
    root = Path(folder).resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    texts, arrays, names = _contents(root)
    key = folder_key(kind, root, texts=texts, stats=arrays, lists=names, options=options)
    return load_or_scan(
        cache, root, key, lambda: READERS[kind](folder, progress=progress, **options)
    )


def _contents(root: Path) -> tuple[list[Path], list[Path], dict[str, str]]:
    texts, arrays, names = [], [], {}
    for folder, subfolders, files in os.walk(root):
        subfolders.sort()
        # The cache may be inside the folder; its files do not count.
        kept = sorted(
            name
            for name in files
            if not name.startswith(".") and not name.endswith((".parquet", ".partial"))
        )
        if not kept:
            continue
        names[Path(folder).relative_to(root).as_posix()] = "\n".join(kept)
        texts += [Path(folder) / name for name in kept if name.lower().endswith(_TEXTS)]
        arrays += [Path(folder) / name for name in kept if name.lower().endswith(".npy")]
    return texts, arrays, names
