"""Checkpoint of an unfinished run, stored beside its output."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from faceaffect.sinks.sink import SinkError

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of an unfinished run.

    Frozen, so that one assignment replaces it: an interruption never leaves half of a change.

    Attributes:
        output_bytes: length of the output up to here; these bytes hold all rows of the `finished`
            sources, those of the `unfinished` ones before their next frame, and nothing else.
        finished: names of finished sources.
        unfinished: next frame of each source that was begun.
        last_track_id: largest track id in the rows; -1 for none.
        run_config: `SinkOptions.run_config` of the run.
    """

    output_bytes: int = 0
    finished: list[str] = field(default_factory=list)
    unfinished: dict[str, int] = field(default_factory=dict)
    last_track_id: int = -1
    run_config: dict[str, str] = field(default_factory=dict)


def checkpoint_path(output: Path) -> Path:
    """Return the path of the checkpoint of `output`."""
    return output.with_name(output.name + ".progress.json")


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint atomically: neither a reader nor a kill ever meets half of it."""
    partial = path.with_name(path.name + ".tmp")
    try:
        content = {"version": _VERSION, **asdict(checkpoint)}
        partial.write_text(json.dumps(content), encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)  # frees the bytes it took on a full disk
        raise


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint of an unfinished run; None if there is no such file.

    Raises:
        SinkError: the file is damaged or of another version.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw.pop("version")
        checkpoint = Checkpoint(**raw)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SinkError(
            f"{path}: expected the checkpoint of a run, got a damaged file ({error}); "
            "use --overwrite"
        ) from None
    if version != _VERSION:
        raise SinkError(f"{path}: expected version {_VERSION}, got {version!r}; use --overwrite")
    return checkpoint
