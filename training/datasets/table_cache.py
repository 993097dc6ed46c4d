"""Cache of the tables of scanned folders as Parquet files, keyed by the folders' contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from training.datasets.frame_table import FrameTable
from training.datasets.table_parquet import FORMAT, read_table, write_table

DEFAULT_CACHE: Final = Path("runs/tables")


def folder_key(
    kind: str,
    root: Path,
    *,
    texts: Iterable[Path] = (),
    stats: Iterable[Path] = (),
    lists: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
) -> str:
    """SHA-256 of everything that the table depends on.

    Args:
        kind: name of the reader.
        root: the scanned folder; part of the key as the base of the table's paths.
        texts: files that are hashed by content.
        stats: files that are hashed by name, size and modification time (videos).
        lists: other content by name, such as the names of the images in a folder.
        options: arguments of the reader.
    """
    digest = hashlib.sha256()

    def add(*parts: str) -> None:
        for part in parts:
            digest.update(f"{len(part)}:{part};".encode())

    add(str(FORMAT), kind, str(root.resolve()), json.dumps(options or {}, sort_keys=True))
    for path in texts:
        content = path.read_bytes()
        add("text", path.relative_to(root).as_posix(), hashlib.sha256(content).hexdigest())
    for path in stats:
        stat = path.stat()
        add("stat", path.relative_to(root).as_posix(), str(stat.st_size), str(stat.st_mtime_ns))
    for name, content_text in sorted((lists or {}).items()):
        add("list", name, content_text)
    return digest.hexdigest()


def cache_file(cache: Path, root: Path, key: str) -> Path:
    """Path of the cached table of a folder."""
    return cache / f"{root.resolve().name or 'root'}-{key[:16]}.parquet"


def load_or_scan(cache: Path, root: Path, key: str, scan: Callable[[], FrameTable]) -> FrameTable:
    """The cached table of `key`; if missing or damaged, the result of `scan`, which is cached."""
    path = cache_file(cache, root, key)
    if path.is_file():
        try:
            table, cached_key = read_table(path)
        except ValueError:
            cached_key = ""
        if cached_key == key:
            return replace(table, cache_path=path)
    table = scan()
    write_table(table, path, key)
    return replace(table, cache_path=path)
