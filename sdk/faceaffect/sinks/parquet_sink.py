"""Row sink for Parquet, by way of a CSV journal that survives interruptions."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from faceaffect.sinks.columns import COLUMNS, Column, select_columns
from faceaffect.sinks.row_formats import CsvFormat
from faceaffect.sinks.sink import ResumePoint, Sink, SinkError, SinkOptions, WrittenFace
from faceaffect.sinks.text_sink import TextSink
from faceaffect.system.durable_file import remove_leftovers, replace_file
from faceaffect.system.install_command import install_command
from faceaffect.types import Affect, Faces, Frame, FrameInfo

_ROW_GROUP_BYTES = 16 << 20  # of journal text


class ParquetSink(Sink):
    """Appends rows to the journal `<name>.partial.csv` and converts it to Parquet on `close`.

    A Parquet file needs a footer, so it cannot grow row by row. After an interruption the Parquet
    file holds all rows so far, and the journal stays for a resume.
    """

    def __init__(self, path: Path, options: SinkOptions) -> None:
        """Open the journal.

        Raises:
            SinkError: pyarrow is missing or the journal cannot be written.
        """
        require_pyarrow(path)
        self.path = str(path)
        self._columns = select_columns(options.columns)
        self._journal_path = journal_path(path)
        self._journal = TextSink(
            self._journal_path, CsvFormat(self._columns), options, is_journal=True
        )
        remove_leftovers(path)
        self._is_closed = False

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`."""
        return self._journal.begin(source)

    def written_faces(self, source: str, first_frame: int) -> list[WrittenFace]:
        """Return the faces of `source` in the rows from `first_frame` on."""
        return self._journal.written_faces(source, first_frame)

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Append the rows of one frame to the journal."""
        self._journal.write(frame, faces, affect)

    def end(self, source: str) -> None:
        """Mark `source` as finished."""
        self._journal.end(source)

    def close(self, *, is_complete: bool = True) -> None:
        """Convert the journal to Parquet; delete it if the run is complete.

        Raises:
            SinkError: the Parquet file cannot be written; the journal is kept.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if not is_complete and self._journal.is_unused:
            self._journal.close(is_complete=False)
            return
        # The journal stays, and locked, until the Parquet file is complete and durable.
        is_converted = False
        try:
            self._journal.settle()
            replace_file(
                Path(self.path),
                lambda partial: csv_to_parquet(self._journal_path, partial, self._columns),
            )
            is_converted = True
        except SinkError:
            raise
        except OSError as error:
            raise SinkError(
                f"{self.path}: cannot be written ({error}); the rows so far are in "
                f"{self._journal_path}: make room and use --resume"
            ) from None
        finally:
            if is_complete and is_converted:
                self._journal.delete()
            else:
                self._journal.close(is_complete=False)


def journal_path(path: Path) -> Path:
    """Return the path of the journal of a Parquet file."""
    return path.with_name(path.name + ".partial.csv")


def require_pyarrow(path: Path) -> ModuleType:
    """Import pyarrow, which the Parquet file `path` needs.

    Raises:
        SinkError: pyarrow cannot be imported.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise SinkError(
            f"{path}: Parquet needs pyarrow, which cannot be imported ({error}); "
            f"{install_command('parquet')}"
        ) from None
    return pyarrow  # type: ignore[no-any-return]


def csv_to_parquet(journal: Path, parquet: Path, columns: tuple[Column, ...] = COLUMNS) -> None:
    """Convert a CSV file of rows to Parquet, one row group at a time."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    types = {
        column.name: pyarrow.string()
        if column.is_text
        else pyarrow.int64()
        if column.is_integer
        else pyarrow.float64()
        for column in columns
    }
    batches = pyarrow.csv.open_csv(
        journal,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_ROW_GROUP_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=False
        ),
    )
    schema = pyarrow.schema(types)
    with batches, pyarrow.parquet.ParquetWriter(parquet, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
