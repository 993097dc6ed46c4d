"""The HTML report as an object: of a result, or of files of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from faceaffect.api.result import Result
from faceaffect.report.video import VideoUse
from faceaffect.report.write_report import DEFAULT_TRACKS, check_report, write_report


class Report:
    """An HTML page with plots of every face over time.

    It needs the extra `report` (`pip install "faceaffect[report]"`).

    Examples:
        >>> import faceaffect as fa
        >>> fa.Report(fa.analyze("clip.mp4")).save("report.html", overwrite=True).name
        'report.html'
        >>> page = fa.Report("rows.csv").html()
        >>> page.startswith("<!DOCTYPE html>")
        True
    """

    def __init__(
        self, rows: Result | str | Path | Iterable[str | Path], *, tracks: int = DEFAULT_TRACKS
    ) -> None:
        """Prepare the report.

        Args:
            rows: A result, or one or several files of rows (.csv, .jsonl, .parquet).
            tracks: Number of faces to plot, those in most frames first.
        """
        self._result = rows if isinstance(rows, Result) else None
        self._files: list[Path] = []
        if not isinstance(rows, Result):
            one = isinstance(rows, (str, Path))
            self._files = [Path(rows)] if one else [Path(path) for path in rows]  # type: ignore[arg-type,union-attr]
        self._tracks = tracks

    def save(
        self,
        path: str | Path,
        *,
        thumbnails: bool = False,
        video: VideoUse | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write the page.

        Args:
            path: File that ends in .html.
            thumbnails: Whether it shows a small image of each plotted face, read from its source.
            video: Whether it plays the videos: `link` names their files, `embed` contains them.
            overwrite: Whether an existing file is replaced.

        Returns:
            The path.

        Raises:
            ReportError: The page cannot be written, rows cannot be read, or packages are missing.
        """
        path = Path(path)
        check_report(path, may_replace=overwrite)
        facts = [] if self._result is None else sorted(self._result.info.items())
        notes = [] if self._result is None else self._result.notes
        with tempfile.TemporaryDirectory(prefix="faceaffect-") as folder:
            files = self._files
            if self._result is not None:
                files = [self._result.save(Path(folder) / "result.jsonl")]
            write_report(
                files,
                path,
                thumbnails=thumbnails,
                max_tracks=self._tracks,
                video=video,
                facts=facts,
                notes=notes,
            )
        return path

    def html(self, *, thumbnails: bool = False) -> str:
        """Return the page as text; see `save`."""
        with tempfile.TemporaryDirectory(prefix="faceaffect-") as folder:
            path = self.save(Path(folder) / "report.html", thumbnails=thumbnails)
            return path.read_text(encoding="utf-8")
