"""Reads and writes frame tables as Parquet files that other tools can read, too.

Columns: source, video, group, frame, path, AU1..AU26, expression, valence, arousal (null if
unknown), mask_AU, mask_EXPR, mask_VA, audio_offset_s, media, split_AU, split_EXPR, split_VA;
intensity_AU1.., box and landmarks_xy if the dataset has them. The scan report and the cache key
are in the metadata of the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, LANDMARK_COUNT
from training.datasets.frame_table import SPLITS, TASKS, FrameTable
from training.datasets.scan_report import ScanReport

FORMAT: Final = 1
_METADATA: Final = b"faceaffect"
_BY_VIDEO: Final = ("video", "source", "group", "media", *(f"split_{task}" for task in TASKS))


def write_table(table: FrameTable, path: Path, key: str = "") -> None:
    """Write a table and its cache key atomically, by renaming a temporary file."""
    columns: dict[str, Any] = {
        "video": _dictionary(table.video, table.videos),
        "source": _dictionary(table.video, table.sources),
        "group": _dictionary(table.video, table.groups),
        "media": _dictionary(table.video, table.media),
        "frame": table.frame,
        "path": table.path,
    }
    for k, task in enumerate(TASKS):
        columns[f"split_{task}"] = _dictionary(
            table.video, tuple(SPLITS[s] for s in table.splits[:, k])
        )
    for k, name in enumerate(AU_NAMES):
        columns[name] = pa.array(table.au[:, k], mask=~table.au_mask[:, k])
    columns["expression"] = pa.array(table.expression, mask=~table.expression_mask)
    for k, name in enumerate(("valence", "arousal")):
        columns[name] = pa.array(table.va[:, k], mask=~table.va_mask)
    for k, task in enumerate(TASKS):
        columns[f"mask_{task}"] = table.masks[:, k]
    columns["audio_offset_s"] = pa.array(table.audio_offset_s, mask=np.isnan(table.audio_offset_s))
    if table.au_intensity is not None:
        for k, name in enumerate(AU_NAMES):
            columns[f"intensity_{name}"] = pa.array(
                table.au_intensity[:, k], mask=np.isnan(table.au_intensity[:, k])
            )
    if table.box is not None:
        columns["box"] = pa.FixedSizeListArray.from_arrays(table.box.ravel(), 4)
    if table.landmarks_xy is not None:
        columns["landmarks_xy"] = pa.FixedSizeListArray.from_arrays(
            table.landmarks_xy.ravel(), 2 * LANDMARK_COUNT
        )
    metadata = {
        "format": FORMAT,
        "key": key,
        "root": str(table.root),
        "report": table.report.to_json(),
    }
    arrow = pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(metadata).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        pq.write_table(arrow, partial, compression="zstd")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_table(path: Path) -> tuple[FrameTable, str]:
    """Read a table and its cache key; ValueError for another kind of file or format version."""
    try:
        arrow = pq.read_table(path, read_dictionary=list(_BY_VIDEO))
        metadata = json.loads((arrow.schema.metadata or {})[_METADATA])
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ValueError(f"{path} is not a frame table ({error})") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"expected format {FORMAT}, {path} has {metadata.get('format')}; scan the folder again"
        )
    video, names = _codes(arrow, "video")
    first = np.zeros(len(names), np.int64)  # a row of each video, for the values of the video
    first[video[::-1]] = np.arange(len(video))[::-1]
    values = {name: _values_at(arrow, name, first) for name in _BY_VIDEO if name != "video"}
    splits = np.array(
        [[SPLITS.index(s) for s in values[f"split_{task}"]] for task in TASKS], np.int8
    ).reshape(len(TASKS), -1)
    table = FrameTable(
        root=Path(metadata["root"]),
        videos=names,
        sources=values["source"],
        groups=values["group"],
        media=values["media"],
        splits=splits.T,
        video=video,
        frame=_numbers(arrow, "frame", np.int32),
        path=arrow.column("path").cast(pa.string()).combine_chunks(),
        report=ScanReport.from_json(metadata["report"]),
        **_labels(arrow),
    )
    return table, str(metadata["key"])


def _labels(arrow: pa.Table) -> dict[str, Any]:
    va = np.stack([_numbers(arrow, name, np.float32) for name in ("valence", "arousal")], axis=1)
    offsets = _numbers(arrow, "audio_offset_s", np.float64, missing=np.nan)
    labels: dict[str, Any] = {
        "au": np.stack([_numbers(arrow, name, np.float32) for name in AU_NAMES], axis=1),
        "au_mask": np.stack([_present(arrow, name) for name in AU_NAMES], axis=1),
        "expression": _numbers(arrow, "expression", np.int8),
        "expression_mask": _present(arrow, "expression"),
        "va": va,
        "va_mask": _present(arrow, "valence"),
        "audio_offset_s": offsets,
    }
    if f"intensity_{AU_NAMES[0]}" in arrow.column_names:
        columns = [
            _numbers(arrow, f"intensity_{name}", np.float32, missing=np.nan) for name in AU_NAMES
        ]
        labels["au_intensity"] = np.stack(columns, axis=1)
    for name, shape in (("box", (4,)), ("landmarks_xy", (LANDMARK_COUNT, 2))):
        if name in arrow.column_names:
            flat = arrow.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            labels[name] = flat.astype(np.float32).reshape(len(arrow), *shape)
    return labels


def _dictionary(codes: NDArray[np.int32], values: tuple[str, ...]) -> pa.DictionaryArray:
    unique = sorted(set(values))
    index = {value: k for k, value in enumerate(unique)}
    to_unique = np.array([index[value] for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(
        to_unique[codes] if len(codes) else codes, pa.array(unique, pa.string())
    )


def _codes(arrow: pa.Table, name: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes in order of first appearance, and their values."""
    column = arrow.column(name).cast(pa.string()).combine_chunks().dictionary_encode()
    return column.indices.to_numpy().astype(np.int32), tuple(column.dictionary.to_pylist())


def _values_at(arrow: pa.Table, name: str, rows: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(arrow.column(name).take(pa.array(rows)).cast(pa.string()).to_pylist())


def _numbers(arrow: pa.Table, name: str, kind: type, missing: float = 0) -> NDArray[Any]:
    column = arrow.column(name)
    if column.null_count:
        column = column.fill_null(pa.scalar(missing, column.type))
    return np.array(column.to_numpy(), kind)


def _present(arrow: pa.Table, name: str) -> NDArray[np.bool_]:
    return np.array(arrow.column(name).is_valid().to_numpy(), bool)
