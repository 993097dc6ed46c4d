"""Summary of a result: rows for code, a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceaffect.api.result import MissingPackageError
from faceaffect.summary.face_rows import FaceRows, joined_images
from faceaffect.summary.summarize import (
    PERSON_COLUMNS,
    TABLE_COLUMNS,
    SummaryRow,
    summarize_faces,
    summary_csv,
    table_cells,
)

if TYPE_CHECKING:
    import pandas

    from faceaffect.api.result import Result


class Summary(Sequence[SummaryRow]):
    """A row per face: dicts with the columns of `faceaffect summarize`.

    Examples:
        >>> import faceaffect as fa
        >>> summary = fa.analyze("clip.mp4").summary()
        >>> len(summary), round(summary[0]["covered_s"], 1)
        (1, 2.0)
    """

    def __init__(self, rows: Sequence[SummaryRow]) -> None:
        """Hold `rows`."""
        self._rows = list(rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return PERSON_COLUMNS

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._rows[index]

    def __iter__(self) -> Iterator[SummaryRow]:
        return iter(self._rows)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the rows as CSV, and write them to `path` if there is one."""
        text = summary_csv(self._rows, self.columns)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a data frame.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingPackageError(
                "expected pandas to be installed, it is not; run `pip install pandas`, or use"
                " summary.to_csv('summary.csv')"
            ) from None
        return pandas.DataFrame(self._rows, columns=list(self.columns))

    def _table(self) -> list[tuple[str, ...]]:
        header = ("source", "face", *TABLE_COLUMNS)
        return [
            header,
            *(
                (Path(str(row["source"])).name, str(row["person"]), *table_cells(row))
                for row in self._rows
            ),
        ]

    def __repr__(self) -> str:
        if not self._rows:
            return "<Summary: no faces>"
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        )

    def _repr_html_(self) -> str:
        header, *rows = self._table()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def summarize_result(result: Result) -> Summary:
    """Summarize every face of a result."""
    faces = faces_of(result)
    names = {one.source for one in result.frames}
    if len(names) == len(result.frames) > 1 and all(len(face) == 1 for face in faces):
        faces = [joined_images("images", faces)] if faces else []
    return Summary(summarize_faces(faces))


def faces_of(result: Result) -> list[FaceRows]:
    """Return the rows of each track of each source of a result."""
    names = list(dict.fromkeys(one.source for one in result.frames))
    index = {name: k for k, name in enumerate(names)}
    source_of_frame = np.array([index[one.source] for one in result.frames], np.int64)
    times = result.time_s
    numbers_of_frame = np.array([one.index for one in result.frames], np.int64)
    numbers = np.concatenate(
        [
            result.faces.box_xyxy,
            result.faces.face_score[:, None],
            result.faces.quality[:, None],
            result.faces.pose_deg,
            result.affect.au_probability,
            result.affect.expression_probability,
            result.affect.valence[:, None],
            result.affect.arousal[:, None],
        ],
        axis=1,
    ).astype(np.float64)
    probability = result.affect.expression_probability
    is_known = np.isfinite(probability).all(axis=1)
    expression = np.where(is_known, probability.argmax(axis=1) if len(probability) else 0, -1)
    source = source_of_frame[result.frame_of_face] if len(result.faces) else np.zeros(0, np.int64)
    keys = dict.fromkeys(zip(source.tolist(), result.faces.track_id.tolist(), strict=True))
    found = []
    for key in keys:
        rows = np.flatnonzero((source == key[0]) & (result.faces.track_id == key[1]))
        frames = result.frame_of_face[rows]
        found.append(
            FaceRows(
                names[key[0]],
                key[1],
                numbers_of_frame[frames],
                times[frames],
                numbers[rows],
                result.affect.au_active[rows],
                expression[rows].astype(np.int64),
            )
        )
    return found
