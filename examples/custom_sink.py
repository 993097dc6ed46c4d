"""A sink of your own: rows into SQLite. `python examples/custom_sink.py clip.mp4 rows.db`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

import faceaffect as fa
from faceaffect.sinks.columns import COLUMNS, rows_for_frame


class SqliteSink:
    """Appends the rows of each frame to the table `rows`."""

    def __init__(self, path: str) -> None:
        """Open the database and create the table."""
        self._database = sqlite3.connect(path)
        columns = ", ".join(
            f"{column.name} {'TEXT' if column.is_text else 'NUMERIC'}" for column in COLUMNS
        )
        self._database.execute(f"CREATE TABLE IF NOT EXISTS rows ({columns})")
        self._insert = f"INSERT INTO rows VALUES ({', '.join('?' * len(COLUMNS))})"

    def write(self, frame: fa.FrameView) -> None:
        """Write one row per face."""
        rows = rows_for_frame(frame.info, frame.face_arrays, frame.affect_arrays)
        self._database.executemany(self._insert, rows)

    def close(self) -> None:
        """Commit and close."""
        self._database.commit()
        self._database.close()


def main(video: str, path: str) -> None:
    """Write the video's rows while it is analyzed, then ask the database."""
    with closing(SqliteSink(path)) as sink:
        for frame in fa.stream(video):
            sink.write(frame)
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT expression, COUNT(*), AVG(valence) FROM rows GROUP BY expression"
        for expression, count, valence in database.execute(query):
            print(f"{expression}: {count} rows, mean valence {valence:+.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
