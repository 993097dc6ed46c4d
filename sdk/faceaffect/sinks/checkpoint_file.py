"""How far an unfinished run came: a small file beside its output."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from faceaffect.sinks.sink import SinkError

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """The first `output_bytes` of the output hold the rows of `finished` sources and those of the
    `unfinished` ones before the frame that stands beside their name, and nothing else.

    Frozen, so that one assignment replaces it: an interruption never leaves half of a change.
    """

    output_bytes: int = 0
    finished: list[str] = field(default_factory=list)
    unfinished: dict[str, int] = field(default_factory=dict)
    last_track_id: int = -1
    settings: dict[str, str] = field(default_factory=dict)


def progress_path(output: Path) -> Path:
    return output.with_name(output.name + ".progress.json")


def save_progress(path: Path, progress: Progress) -> None:
    """Replace the file in one step, so that a reader or a kill never meets half of it."""
    partial = path.with_name(path.name + ".tmp")
    try:
        partial.write_text(json.dumps({"version": _VERSION, **asdict(progress)}), encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)  # of a full disk
        raise


def load_progress(path: Path) -> Progress | None:
    """The progress of an unfinished run, None when there is no such file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw.pop("version")
        progress = Progress(**raw)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SinkError(
            f"{path} must hold the progress of a run, it is damaged ({error}); use --overwrite"
        ) from None
    if version != _VERSION:
        raise SinkError(f"{path} must have version {_VERSION}, got {version!r}; use --overwrite")
    return progress
