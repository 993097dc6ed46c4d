"""Reads the faces of a source's last frames back from a file of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from faceaffect.sinks.columns import MAX_ROW_BYTES, source_cell
from faceaffect.sinks.row_formats import RowFormat
from faceaffect.sinks.sink import WrittenFace

_BLOCK_BYTES: Final = 1 << 18
_BOX: Final = ("box_x1", "box_y1", "box_x2", "box_y2")


def read_written_faces(
    read: Callable[[int, int], bytes],
    end: int,
    row_format: RowFormat,
    source: str,
    first_frame: int,
) -> list[WrittenFace]:
    """Return the faces of `source` from `first_frame` on, in order.

    Args:
        read: Reads the bytes [start, end) of the file.
        end: End of the rows in the file.
        row_format: Format of the file.
        source: Name of the source in the rows; a folder stands for its images.
        first_frame: First frame to return.
    """
    cell = source_cell(source)
    folder = cell.rstrip("/") + "/"
    faces: list[WrittenFace] = []
    tail = b""
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        block = read(start, end) + tail
        end = start
        tail, separator, rows = block.partition(b"\n") if start else (b"", b"", block)
        if start and not separator:
            if len(block) > MAX_ROW_BYTES:  # no row of ours; what is before it is not known
                return faces[::-1]
            tail = block
            continue
        if start:
            tail += separator
        for line in reversed(rows.decode("utf-8", "replace").split("\n")):
            row = row_format.parse(line)
            name = "" if row is None else str(row.get("source"))
            face = None if row is None else _face(row)
            if face is None or not (name == cell or name.startswith(folder)):
                continue
            if face.frame < first_frame:
                return faces[::-1]
            faces.append(face)
    return faces[::-1]


def _face(row: Mapping[str, Any]) -> WrittenFace | None:
    """Return the face of a row; None for the header and for rows that were edited."""
    try:
        x1, y1, x2, y2 = (float(row[name]) for name in _BOX)
        track_id = int(row["track_id"])
        return WrittenFace(int(row["frame"]), float(row["time_s"]), track_id, (x1, y1, x2, y2))
    except (KeyError, TypeError, ValueError):
        return None
