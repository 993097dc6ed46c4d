"""What the user asked `analyze` for where the output is a folder, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from faceaffect.audio.audio_source import AUTO, NONE
from faceaffect.batch.file_task import Input, TaskSettings, installed_version
from faceaffect.batch.find_inputs import find_inputs
from faceaffect.batch.remote_files import is_remote
from faceaffect.bundle.bundle import find_bundle
from faceaffect.bundle.model_spec import SPEC_FILE, ModelSpec
from faceaffect.cli.analyze_options import pipeline_options, rows_depend_on, source_options
from faceaffect.sinks.open_sink import is_stdout
from faceaffect.sinks.parquet_sink import require_pyarrow
from faceaffect.sources.open_source import is_live
from faceaffect.system.cpu_count import cpu_count

_ONLY_FOLDERS: Final = {"row_format": "--format", "ray": "--ray", "retry": "--retry"}
_JOBS_ON_A_GPU: Final = 2  # while one copies, the other computes


def names_a_folder(given: Mapping[str, Any]) -> bool:
    """Whether --out is a folder: one that is there, a remote one, or a name without an ending or
    with a slash at its end.
    """
    out = given["out"]
    is_folder = not is_stdout(out) and (
        is_remote(out)
        or out.endswith("/")
        or Path(out).is_dir()
        or (not Path(out).suffix and not Path(out).exists())
    )
    if not is_folder and (
        only := [option for name, option in _ONLY_FOLDERS.items() if given[name]]
    ):
        raise click.UsageError(
            f"{only[0]} is for many outputs: give --out a folder, such as --out parts/, got --out {out}"
        )
    return is_folder


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    inputs: list[Input]
    tasks: TaskSettings
    stored: dict[str, str]
    """What must be the same when the folder is gone on with."""
    ray: str | None
    jobs: int
    retry: bool
    overwrite: bool
    is_quiet: bool

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> ArchiveSettings:
        """Raises UsageError, SourceError, BundleError, SinkError or BatchError before anything is
        written.
        """
        if given["overlay"]:
            raise click.UsageError(
                "--overlay draws one output: give --out a file, or draw the videos one by one"
            )
        if given["report"]:
            raise click.UsageError(
                "--report is made of one output: give --out a file, or use `faceaffect report` afterwards"
            )
        if live := [source for source in given["sources"] if is_live(source)]:
            raise click.UsageError(
                f"a live source never ends by itself: give {live[0]} alone and --out a file"
            )
        row_format = given["row_format"] or ("parquet" if given["ray"] else "csv")
        if row_format == "parquet":
            require_pyarrow(Path(given["out"]))
        pipeline, options = pipeline_options(given), source_options(given)
        if given["audio"] not in (AUTO, NONE):
            raise click.UsageError(
                f"--audio {given['audio']} goes with one source: give --out a file, or --audio auto or none"
            )
        bundle = find_bundle(given["model"])
        tasks = TaskSettings(
            out=_everywhere(given["out"]) if given["ray"] else given["out"],
            row_format=row_format,
            model=_everywhere(str(bundle)) if given["model"] else None,
            pipeline=pipeline,
            source_options=options,
            audio=given["audio"],
            version=installed_version(),
        )
        inputs = find_inputs(given["sources"])
        digest = hashlib.sha256(
            (bundle / SPEC_FILE).read_bytes()
        ).hexdigest()  # the spec holds the digest of every file
        model = f"{ModelSpec.load(bundle).name} {digest[:12]}"
        return cls(
            inputs=[Input(_everywhere(one.uri), one.name) for one in inputs]
            if given["ray"]
            else inputs,
            tasks=tasks,
            stored={
                **rows_depend_on(model, given["precision"], pipeline, options, given["audio"]),
                "format": row_format,
            },
            ray=given["ray"],
            jobs=given["jobs"] or default_jobs(pipeline),
            retry=given["retry"],
            overwrite=given["overwrite"],
            is_quiet=given["quiet"],
        )


def _everywhere(path: str) -> str:
    """A path that means the same to a process that was started in another folder."""
    return path if is_remote(path) else str(Path(path.removeprefix("file://")).absolute())


def default_jobs(pipeline: Mapping[str, Any]) -> int:
    """One per usable core, shared with the threads of each; few where the work is a GPU's."""
    from faceaffect.backends import has_nvidia_gpu

    backend, device = pipeline["backend"], pipeline["device"]
    if backend == "tensorrt" or (
        backend == "auto" and device != "cpu" and (device != "auto" or has_nvidia_gpu())
    ):
        return _JOBS_ON_A_GPU
    return max(1, cpu_count() // int(pipeline["threads"]))
