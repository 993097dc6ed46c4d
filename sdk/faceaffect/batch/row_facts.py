"""How rows were made: the settings that change them, and the side-car that records these."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Final

from faceaffect import __version__
from faceaffect.audio.audio_source import AUTO
from faceaffect.bundle.bundle import find_bundle
from faceaffect.bundle.bundle_files import SPEC_FILE
from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.labels import AU_NAMES
from faceaffect.pipeline import open_pipeline
from faceaffect.sinks.columns import select_columns
from faceaffect.sinks.side_car import SideCar
from faceaffect.sources.source import SourceOptions

_DEFAULTS: Final = signature(open_pipeline).parameters


def describe_rows(
    description: Mapping[str, str],
    au_thresholds: Sequence[float],
    model_sha256: str,
    options: Mapping[str, str],
    columns: tuple[str, ...] = ("default",),
) -> SideCar:
    """Return the side-car of rows, without sources.

    Args:
        description: `Pipeline.describe()`.
        au_thresholds: Threshold [12] of each AU.
        model_sha256: See `model_hash`.
        options: See `run_config`.
        columns: Groups of columns.
    """
    return SideCar(
        version=__version__,
        model=description["model"],
        model_sha256=model_sha256,
        pipeline={name: value for name, value in description.items() if name != "model"},
        au_thresholds=dict(zip(AU_NAMES, au_thresholds, strict=False)),
        options=dict(options),
        columns=[column.name for column in select_columns(columns)],
    )


def check_columns(columns: tuple[str, ...], spec: ModelSpec) -> None:
    """Check that a model predicts the groups of columns that were asked for by name.

    Raises:
        BundleError: It does not; in the group "all" such columns are empty instead.
    """
    if "intensity" in columns and spec.au_intensity is None:
        raise BundleError(
            f"expected a model with intensities for the columns 'intensity', got {spec.name!r}"
            " without; leave them out, or choose another model"
        )


def model_hash(model: str | Path | None) -> str:
    """Return the SHA-256 of the `spec.json` of a model, given as to `open_pipeline`."""
    return hashlib.sha256((find_bundle(model) / SPEC_FILE).read_bytes()).hexdigest()


def run_config(
    model_name: str, precision: str, pipeline: Mapping[str, Any], options: SourceOptions, audio: str
) -> dict[str, str]:
    """Return the settings that change the rows, and that a resumed run must therefore share.

    Backend, device and DLA core change no more than the last digit of a score and are left out, as
    is everything that only changes the speed.

    Args:
        model_name: Of the spec.
        precision: That runs.
        pipeline: Keyword arguments of `open_pipeline`.
        options: How sources are read.
        audio: AUTO, NONE or a file.
    """
    names = (
        "max_faces",
        "min_face_size_px",
        "rotate",
        "smooth",
        "neutral_baseline",
        "min_quality",
        "aligned_crops",
    )
    config = {"model": model_name, "precision": precision}
    config |= {
        name: str(pipeline[name] if name in pipeline else _DEFAULTS[name].default) for name in names
    }
    config |= {"image_fps": str(options.image_fps), "is_video": str(options.is_video)}
    if options.rate_fps is not None:
        config["rate_fps"] = str(options.rate_fps)
    return config if audio == AUTO else {**config, "audio": audio}


def row_config(columns: tuple[str, ...], every_frame: bool) -> dict[str, str]:
    """Return which rows and columns are written, where that is not the default."""
    config = {} if columns == ("default",) else {"columns": ",".join(columns)}
    return {**config, "every_frame": "True"} if every_frame else config
