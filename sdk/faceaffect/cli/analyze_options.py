"""What the user asked `analyze` for, checked and grouped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from faceaffect.audio.audio_source import AUTO
from faceaffect.sinks.open_sink import is_stdout
from faceaffect.sinks.sink import OverwritePolicy
from faceaffect.sources.open_source import expand_sources, is_live
from faceaffect.sources.source import SourceOptions


@dataclass(frozen=True, slots=True)
class AnalyzeSettings:
    sources: list[str]
    out: str
    overlay: Path | None
    report: Path | None
    portraits: bool
    model: str | None
    pipeline: dict[str, Any]  # keyword arguments of open_pipeline
    source_options: SourceOptions
    audio: str
    when_existing: OverwritePolicy
    is_quiet: bool
    jobs: int = 1
    """Processes that a video is shared out to."""

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> AnalyzeSettings:
        if given["resume"] and given["overwrite"]:
            raise click.UsageError(
                "--resume keeps the existing output and --overwrite replaces it: give one of them"
            )
        if given["report"] and is_stdout(given["out"]):
            raise click.UsageError(
                "--report is made of the rows: give them a file too, such as --out rows.csv"
            )
        if given["portraits"] and not given["report"]:
            raise click.UsageError(
                "--portraits are shown in the report: give --report FILE.html too"
            )
        jobs = given["jobs"] or 1
        if jobs > 1 and given["overlay"]:
            raise click.UsageError("--overlay is drawn where the frames are read: leave --jobs off")
        if jobs > 1 and given["baseline"]:
            raise click.UsageError(
                "--baseline learns from all that a face has shown so far: leave --jobs off"
            )
        sources = expand_sources(given["sources"])
        live = [source for source in sources if is_live(source)]
        if live and len(sources) > 1:
            raise click.UsageError(f"a live source never ends by itself: give {live[0]} alone")
        when_existing = OverwritePolicy.RESUME if given["resume"] else OverwritePolicy.REFUSE
        return cls(
            sources=sources,
            out=given["out"],
            overlay=Path(given["overlay"]) if given["overlay"] else None,
            report=Path(given["report"]) if given["report"] else None,
            portraits=given["portraits"],
            model=given["model"],
            pipeline=pipeline_options(given),
            source_options=source_options(given),
            audio=given["audio"],
            when_existing=OverwritePolicy.OVERWRITE if given["overwrite"] else when_existing,
            is_quiet=given["quiet"],
            jobs=jobs,
        )

    def stored(self, model_name: str, precision: str) -> dict[str, str]:
        """What must be the same when the run is resumed.

        `precision` is the one that runs: with `--backend auto` another machine may have another.
        """
        return rows_depend_on(model_name, precision, self.pipeline, self.source_options, self.audio)


def pipeline_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `open_pipeline`; raises UsageError for two detectors."""
    if given["yunet"] and given["detector"]:
        raise click.UsageError("--yunet is a detector of its own: give it or --detector")
    return {
        "backend": given["backend"],
        "device": given["device"],
        "threads": given["threads"],
        "precision": given["precision"],
        "dla_core": given["dla"],
        "max_faces": given["max_faces"],
        "min_face_size_px": given["min_face"],
        "smooth": not given["no_smooth"],
        "neutral_baseline": given["baseline"],
        "aligned_crops": given["crops"],
        "is_video": _is_sequence(given),
        "detector": given["yunet"] or given["detector"],
    }


def source_options(given: Mapping[str, Any]) -> SourceOptions:
    """Raises SourceError for values that cannot be."""
    return SourceOptions(
        image_fps=given["image_fps"],
        is_video=_is_sequence(given),
        reconnect_timeout_s=given["reconnect"],
    )


def _is_sequence(given: Mapping[str, Any]) -> bool:
    """Whether images of a folder are one video: as was said, else where they are crops."""
    return bool(given["crops"] if given["sequence"] is None else given["sequence"])


def rows_depend_on(
    model_name: str, precision: str, pipeline: Mapping[str, Any], options: SourceOptions, audio: str
) -> dict[str, str]:
    """The settings that change rows; speed settings may differ from run to run.

    Where it runs (backend, device, DLA) changes no more than the last digit of a score and is
    left free.
    """
    wanted = {
        name: str(pipeline[name])
        for name in ("max_faces", "min_face_size_px", "smooth", "neutral_baseline", "aligned_crops")
    }
    images = {"image_fps": str(options.image_fps), "sequence": str(options.is_video)}
    heard = {} if audio == AUTO else {"audio": audio}
    return {"model": model_name, "precision": precision, **wanted, **images, **heard}
