"""Keeps the side-car of the rows of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceaffect.batch.row_facts import describe_rows, model_hash
from faceaffect.sinks.parquet_sink import journal_path
from faceaffect.sinks.side_car import delete_side_car, facts_of, read_side_car
from faceaffect.sinks.sink import OverwritePolicy, SinkError
from faceaffect.sources.source import Source

if TYPE_CHECKING:
    from faceaffect.cli.analyze_options import AnalyzeSettings
    from faceaffect.pipeline import Pipeline


class SideCarWriter:
    """Writes the side-car after each source, and deletes it if there are no rows in the end."""

    def __init__(
        self, settings: AnalyzeSettings, pipeline: Pipeline, run_config: dict[str, str]
    ) -> None:
        """Start the side-car, or continue that of the run that is resumed.

        Raises:
            SinkError: The run that is resumed used another model under the same name.
        """
        self._row_files = settings.row_files
        self._side_car = describe_rows(
            pipeline.describe(),
            pipeline.spec.au_thresholds,
            model_hash(settings.model),
            run_config,
            settings.columns,
        )
        if not self._row_files or settings.when_existing is not OverwritePolicy.RESUME:
            return
        earlier = read_side_car(self._row_files[0])
        if earlier is None:
            return
        if earlier.model_sha256 != self._side_car.model_sha256:
            raise SinkError(
                f"{self._row_files[0]}: expected the model of the first run (spec.json"
                f" {earlier.model_sha256[:12]}), got {self._side_car.model_sha256[:12]} under the"
                " same name; pass the first one with --model, or use --overwrite"
            )
        self._side_car.sources = earlier.sources

    def add(
        self, source: Source, name: str, frames: int, *, is_complete: bool, resumed: bool
    ) -> None:
        """Record what was analyzed of a source."""
        if not self._row_files:
            return
        facts = facts_of(source, name, frames, is_complete=is_complete)
        self._side_car.set_source(facts, resumed=resumed)
        for rows in self._row_files:
            self._side_car.save(rows)

    def close(self) -> None:
        """Delete the side-car if the run left no rows."""
        for rows in self._row_files:
            if not (rows.exists() or journal_path(rows).exists()):
                delete_side_car(rows)
