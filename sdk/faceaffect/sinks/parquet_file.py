"""Rows as Parquet, by way of a journal that survives being cut short."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType, TracebackType

from faceaffect.sinks.columns import COLUMNS
from faceaffect.sinks.row_formats import CsvFormat
from faceaffect.sinks.sink import ResumePoint, SinkError, SinkOptions
from faceaffect.sinks.text_sink import RowFile
from faceaffect.types import Affect, Faces, Frame

_ROW_GROUP_BYTES = 16 << 20  # of journal text


class ParquetFile:
    """Parquet needs a footer, so rows go to `<name>.partial.csv` first and become Parquet in one
    step at the end.

    After an interruption the Parquet file holds all rows so far, and the journal stays for a
    resume.
    """

    def __init__(self, path: Path, options: SinkOptions) -> None:
        require_pyarrow(path)
        self.path = str(path)
        self._journal_path = journal_path(path)
        self._journal = RowFile(self._journal_path, CsvFormat(), options)
        self._is_closed = False

    def begin(self, source: str) -> ResumePoint:
        return self._journal.begin(source)

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        self._journal.write(frame, faces, affect)

    def end(self, source: str) -> None:
        self._journal.end(source)

    def close(self, *, is_complete: bool = True) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._journal.close(
            is_complete=False
        )  # the journal is needed until the Parquet file is there
        partial = Path(self.path + ".tmp")
        try:
            parquet_from_csv(self._journal_path, partial)
            os.replace(partial, self.path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise SinkError(
                f"{self.path}: cannot be written ({error}); the rows so far are in {self._journal_path}: "
                "make room and use --resume"
            ) from None
        if is_complete:
            self._journal.forget()

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(is_complete=error is None)


def journal_path(path: Path) -> Path:
    return path.with_name(path.name + ".partial.csv")


def require_pyarrow(path: Path) -> ModuleType:
    try:
        import pyarrow
    except ImportError as error:
        raise SinkError(
            f'{path}: Parquet needs pyarrow, which cannot be used ({error}): pip install "faceaffect[parquet]"'
        ) from None
    return pyarrow  # type: ignore[no-any-return]


def parquet_from_csv(journal: Path, parquet: Path) -> None:
    """Stream the journal into a Parquet file, a row group at a time."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    kinds = {True: pyarrow.string(), False: pyarrow.float64()}
    types = {c.name: pyarrow.int64() if c.is_integer else kinds[c.is_text] for c in COLUMNS}
    batches = pyarrow.csv.open_csv(
        journal,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_ROW_GROUP_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=False
        ),
    )
    with (
        batches,
        pyarrow.parquet.ParquetWriter(parquet, pyarrow.schema(types), compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
