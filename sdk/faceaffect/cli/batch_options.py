"""Validated options of `analyze` with an output folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from faceaffect.audio.audio_source import AUTO, NONE
from faceaffect.batch.file_task import Input, TaskSettings, installed_version
from faceaffect.batch.find_inputs import find_inputs
from faceaffect.batch.remote_files import is_remote
from faceaffect.batch.row_facts import model_hash, row_config, run_config
from faceaffect.bundle.bundle import find_bundle
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.cli.analyze_options import (
    pipeline_options,
    reject_live_sources,
    source_options,
)
from faceaffect.sinks.open_sink import is_file
from faceaffect.sinks.parquet_sink import require_pyarrow
from faceaffect.system.cpu_count import cpu_count

_FOLDER_OPTIONS: Final = ("output_format", "ray", "retry_failed")
_GPU_JOBS: Final = 2  # one process copies frames while the other computes


def is_output_folder(options: Mapping[str, Any]) -> bool:
    """Return whether --out is a folder: existing, remote, without a suffix, or ending in a slash.

    Raises:
        UsageError: If --out is a file and an option for folders is set.
    """
    outs = options["out"]
    is_folder = any(map(_is_folder, outs))
    if is_folder and len(outs) > 1:
        raise click.UsageError(
            f"expected files and streams, or one folder, got --out {' and --out '.join(outs)}"
        )
    misplaced = [name for name in _FOLDER_OPTIONS if options[name]]
    if misplaced and not is_folder:
        raise click.UsageError(
            f"--{misplaced[0].replace('_', '-')} needs an output folder, such as --out results/,"
            f" got --out {outs[0]}"
        )
    return is_folder


def _is_folder(out: str) -> bool:
    return is_file(out) and (
        is_remote(out)
        or out.endswith("/")
        or Path(out).is_dir()
        or (not Path(out).suffix and not Path(out).exists())
    )


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Settings of a run with an output folder.

    Attributes:
        notes: What was left out of folders and patterns.
        run_config: Settings that a later run into the same folder must share.
        ray: Address of a Ray cluster; None for local processes.
    """

    inputs: list[Input]
    notes: list[str]
    tasks: TaskSettings
    run_config: dict[str, str]
    ray: str | None
    jobs: int
    retry_failed: bool
    overwrite: bool
    is_quiet: bool

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> BatchSettings:
        """Validate command line options before anything is written.

        Raises UsageError, SourceError, BundleError, SinkError or BatchError.
        """
        _check_single_file_options(options)
        (out,) = options["out"]
        uses_ray = bool(options["ray"])
        output_format = options["output_format"] or ("parquet" if uses_ray else "csv")
        if output_format == "parquet":
            require_pyarrow(Path(out))
        pipeline = pipeline_options(options)
        reading = source_options(options)
        bundle = find_bundle(options["model"])
        tasks = TaskSettings(
            out=_absolute(out) if uses_ray else out,
            row_format=output_format,
            model=_absolute(str(bundle)) if options["model"] else None,
            pipeline=pipeline,
            source_options=reading,
            audio=options["audio"],
            version=installed_version(),
            file_timeout_s=options["file_timeout"] or 0.0,
            columns=options["columns"],
            every_frame=options["every_frame"],
        )
        found = find_inputs(options["sources"])
        inputs = found.inputs
        if uses_ray:
            inputs = [Input(_absolute(one.uri), one.name) for one in inputs]
        # The spec holds the digest of every other file of the bundle.
        model = f"{ModelSpec.load(bundle).name} {model_hash(bundle)[:12]}"
        config = run_config(model, options["precision"], pipeline, reading, options["audio"])
        config |= row_config(options["columns"], options["every_frame"])
        return cls(
            inputs=inputs,
            notes=found.notes,
            tasks=tasks,
            run_config={**config, "output_format": output_format},
            ray=options["ray"],
            jobs=options["jobs"] or default_jobs(pipeline),
            retry_failed=options["retry_failed"],
            overwrite=options["overwrite"],
            is_quiet=options["quiet"],
        )


def _check_single_file_options(options: Mapping[str, Any]) -> None:
    if options["overlay"]:
        raise click.UsageError("--overlay needs a single output: set --out to a file")
    if options["report"]:
        raise click.UsageError(
            "--report needs a single output: set --out to a file, or run `faceaffect report`"
            " afterwards"
        )
    reject_live_sources(options["sources"], "analyze it alone and set --out to a file")
    if options["audio"] not in (AUTO, NONE):
        raise click.UsageError(
            f"--audio {options['audio']} needs a single source: set --out to a file, or use --audio"
            " auto or none"
        )


def _absolute(path: str) -> str:
    """Return a path that is valid in processes with another working directory."""
    return path if is_remote(path) else str(Path(path.removeprefix("file://")).absolute())


def default_jobs(pipeline: Mapping[str, Any]) -> int:
    """Return the number of processes: one per usable core divided by threads, or few on a GPU."""
    from faceaffect.backends import has_nvidia_gpu

    backend = pipeline["backend"]
    device = pipeline["device"]
    if backend == "tensorrt" or (
        backend == "auto" and device != "cpu" and (device != "auto" or has_nvidia_gpu())
    ):
        return _GPU_JOBS
    return max(1, cpu_count() // int(pipeline["threads"]))
