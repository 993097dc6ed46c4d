"""Validated options of `analyze` with a single output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceaffect.batch.find_inputs import find_inputs
from faceaffect.batch.row_facts import row_config, run_config
from faceaffect.cli.shared_options import check_detector_model
from faceaffect.sinks.open_sink import is_file
from faceaffect.sinks.sink import OverwritePolicy
from faceaffect.sources.open_source import is_live
from faceaffect.sources.source import SourceOptions

if TYPE_CHECKING:
    from faceaffect.drawing.annotator import OverlayStyle


@dataclass(frozen=True, slots=True)
class AnalyzeSettings:
    """Settings of a run with a single output.

    Attributes:
        notes: What was left out of folders and patterns.
        outs: Files, standard output and addresses of streams.
        pipeline: Keyword arguments of `open_pipeline`.
        jobs: Number of processes that a video is split across.
        file_timeout_s: Time limit of a source; 0 for none.
        columns: Groups of columns.
        every_frame: Whether frames without a face have a row.
    """

    sources: list[str]
    notes: list[str]
    outs: tuple[str, ...]
    overlay: Path | None
    overlay_style: OverlayStyle
    has_blurred_faces: bool
    report: Path | None
    has_thumbnails: bool
    model: str | None
    pipeline: dict[str, Any]
    source_options: SourceOptions
    audio: str
    when_existing: OverwritePolicy
    is_quiet: bool
    jobs: int = 1
    file_timeout_s: float = 0.0
    columns: tuple[str, ...] = ("default",)
    every_frame: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> AnalyzeSettings:
        """Validate command line options; raises UsageError or SourceError."""
        _check_outputs(options)
        found = find_inputs(options["sources"], is_single_output=True)
        sources = [one.uri for one in found.inputs]
        if len(sources) > 1:
            reject_live_sources(sources, "analyze it alone")
        when_existing = OverwritePolicy.RESUME if options["resume"] else OverwritePolicy.REFUSE
        return cls(
            sources=sources,
            notes=found.notes,
            outs=options["out"],
            overlay=Path(options["overlay"]) if options["overlay"] else None,
            overlay_style=options["overlay_style"],
            has_blurred_faces=options["blur_faces"],
            report=Path(options["report"]) if options["report"] else None,
            has_thumbnails=options["thumbnails"],
            model=options["model"],
            pipeline=pipeline_options(options),
            source_options=source_options(options),
            audio=options["audio"],
            when_existing=OverwritePolicy.OVERWRITE if options["overwrite"] else when_existing,
            is_quiet=options["quiet"],
            jobs=options["jobs"] or 1,
            file_timeout_s=options["file_timeout"] or 0.0,
            columns=options["columns"],
            every_frame=options["every_frame"],
        )

    @property
    def row_files(self) -> list[Path]:
        """Files among the outputs."""
        return [Path(out) for out in self.outs if is_file(out)]

    def run_config(self, model_name: str, precision: str) -> dict[str, str]:
        """Return the settings that a resumed run must share.

        Args:
            model_name: Name in the model's spec.
            precision: The precision that runs; `--precision auto` may select another one on
                another machine.
        """
        config = run_config(model_name, precision, self.pipeline, self.source_options, self.audio)
        return config | row_config(self.columns, self.every_frame)


def _check_outputs(options: Mapping[str, Any]) -> None:
    if options["resume"] and options["overwrite"]:
        raise click.UsageError(
            "--resume keeps the existing output and --overwrite replaces it: use one of them"
        )
    if options["report"] and not any(map(is_file, options["out"])):
        raise click.UsageError(
            "--report reads the rows back from a file: add one, such as --out rows.csv"
        )
    if options["blur_faces"] and not options["overlay"]:
        raise click.UsageError("--blur-faces is about the overlay: add --overlay FILE")
    if options["thumbnails"] and not options["report"]:
        raise click.UsageError("--thumbnails are part of the report: add --report FILE.html")
    if (options["jobs"] or 1) > 1:
        if options["overlay"]:
            raise click.UsageError("--overlay needs all frames in one process: remove --jobs")
        if options["neutral_baseline"]:
            raise click.UsageError(
                "--neutral-baseline needs all frames in one process: remove --jobs"
            )


def reject_live_sources(sources: list[str], remedy: str) -> None:
    """Raise UsageError if one of `sources` is a camera or stream."""
    if live := [source for source in sources if is_live(source)]:
        raise click.UsageError(f"a live source never ends by itself: {remedy}, got {live[0]}")


def pipeline_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of `open_pipeline`; raises UsageError."""
    check_detector_model([options["detector"]], options["detector_model"])
    return {
        "backend": options["backend"],
        "device": options["device"],
        "threads": options["threads"],
        "precision": options["precision"],
        "dla_core": options["dla_core"],
        "max_faces": options["max_faces"],
        "min_face_size_px": options["min_face_size"],
        "rotate": options["rotate"],
        "smooth": not options["no_smoothing"],
        "neutral_baseline": options["neutral_baseline"],
        "min_quality": options["min_quality"],
        "aligned_crops": options["aligned_crops"],
        "is_video": _is_video(options),
        "detector": options["detector_model"] or options["detector"],
    }


def source_options(options: Mapping[str, Any]) -> SourceOptions:
    """Return how sources are read; raises SourceError for values out of range."""
    return SourceOptions(
        image_fps=options["image_fps"],
        is_video=_is_video(options),
        reconnect_timeout_s=options["reconnect_timeout"],
        max_pixels=options["max_pixels"],
        rate_fps=options["rate"],
        allow_playlists=options["playlists"],
    )


def _is_video(options: Mapping[str, Any]) -> bool:
    """Return whether the images of a folder are the frames of one video."""
    is_video = options["aligned_crops"] if options["sequence"] is None else options["sequence"]
    return bool(is_video)
