"""Checkpoints of an unfinished run: a log beside its output, appended in constant time.

The first line is a header, each further line what changed since the line before. A kill or a power
cut tears at most the last line, which then counts for nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from faceaffect.sinks.sink import SinkError
from faceaffect.system.durable_file import open_regular, write_file
from faceaffect.system.file_identity import FileIdentity

_VERSION: Final = 2
_COMPACT_BYTES: Final = 1 << 20  # a log that has grown by so much is rewritten
_SOURCES_PER_LINE: Final = 1000
MAX_LOG_BYTES: Final[int] = 1 << 30
"""Longest log that is read: some million sources."""
MAX_LINE_BYTES: Final[int] = 1 << 26
"""Longest line: `_SOURCES_PER_LINE` of the longest names that Linux allows."""
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class SourceState:
    """State of a source.

    Attributes:
        name: Name of the source in the rows.
        next_frame: First frame without rows.
        is_finished: True if every row has been written.
        identity: What the source was when its first row was written.
    """

    name: str
    next_frame: int
    is_finished: bool
    identity: FileIdentity


@dataclass(slots=True)
class Checkpoint:
    """State of an unfinished run.

    Attributes:
        output_bytes: Length of the output up to here; these bytes hold all rows of the finished
            sources, those of the others before their next frame, and nothing else.
        last_track_id: Largest track id in the rows; -1 for none.
        run_config: `SinkOptions.run_config` of the run.
        sources: Sources that were begun, by the key of their identity.
    """

    output_bytes: int = 0
    last_track_id: int = -1
    run_config: dict[str, str] = field(default_factory=dict)
    sources: dict[str, SourceState] = field(default_factory=dict)


def checkpoint_path(output: Path) -> Path:
    """Return the path of the checkpoint of `output`."""
    return output.with_name(output.name + ".progress.jsonl")


class CheckpointLog:
    """Appends checkpoints to a file."""

    def __init__(self, path: Path, checkpoint: Checkpoint) -> None:
        """Replace the file by `checkpoint`.

        Raises:
            OSError: It cannot be written.
        """
        self._path = path
        self._is_torn = False
        self._descriptor = -1
        self._rewrite(checkpoint)

    def append(self, checkpoint: Checkpoint, changed: Iterable[SourceState]) -> None:
        """Append the state of a run, and make it durable.

        Args:
            checkpoint: The state.
            changed: Sources of it that changed since the last call.

        Raises:
            OSError: It cannot be written; the checkpoint before stays valid.
        """
        if self._is_torn or self._size_bytes > self._compact_at_bytes:
            self._rewrite(checkpoint)
            return
        data = _entry(checkpoint.output_bytes, checkpoint.last_track_id, changed)
        self._is_torn = True
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        os.fsync(self._descriptor)
        self._is_torn = False
        self._size_bytes += len(data)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _rewrite(self, checkpoint: Checkpoint) -> None:
        header = {"version": _VERSION, "run_config": checkpoint.run_config}
        lines = [json.dumps(header).encode() + b"\n"]
        states = list(checkpoint.sources.values())
        for start in range(0, max(len(states), 1), _SOURCES_PER_LINE):
            some = states[start : start + _SOURCES_PER_LINE]
            lines.append(_entry(checkpoint.output_bytes, checkpoint.last_track_id, some))
        content = b"".join(lines)
        write_file(self._path, content)
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | _NO_FOLLOW)
        self._size_bytes = len(content)
        self._compact_at_bytes = 2 * len(content) + _COMPACT_BYTES
        self._is_torn = False


def load_checkpoint(
    path: Path, is_whole: Callable[[int], bool] = lambda output_bytes: True
) -> Checkpoint | None:
    """Return the last checkpoint that fits the output; None if there is no such file.

    Args:
        path: The file.
        is_whole: Whether an output of so many bytes ends with a whole row.

    Raises:
        SinkError: The file is damaged or of another version, or no checkpoint fits the output.
    """
    checkpoint: Checkpoint | None = None
    expected_bytes = 0
    try:
        with open_regular(path) as stream:
            lines = _lines(stream)
            version, run_config = _header(next(lines, b""))
            if version != _VERSION:
                raise SinkError(
                    f"{path}: expected version {_VERSION}, got {version!r}; use --overwrite"
                )
            for output_bytes, last_track_id, states in _entries(lines):
                expected_bytes = output_bytes
                if not is_whole(output_bytes):
                    break  # the output lost rows since: resume from where they are whole
                if checkpoint is None:
                    checkpoint = Checkpoint(run_config=run_config)
                checkpoint.output_bytes = output_bytes
                checkpoint.last_track_id = last_track_id
                checkpoint.sources.update((state.identity.key, state) for state in states)
    except FileNotFoundError:
        return None
    except SinkError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        raise SinkError(
            f"{path}: expected the checkpoint of a run, got a damaged file ({error}); "
            "use --overwrite"
        ) from None
    if checkpoint is None:
        raise SinkError(
            f"{path}: expected an output that begins with the {expected_bytes} bytes of whole rows"
            " of its first checkpoint, got another; the file was changed since: use --overwrite"
        )
    return checkpoint


def _entry(output_bytes: int, last_track_id: int, states: Iterable[SourceState]) -> bytes:
    value = {
        "output_bytes": output_bytes,
        "last_track_id": last_track_id,
        "sources": [asdict(state) for state in states],
    }
    return json.dumps(value).encode() + b"\n"


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a log; raises ValueError if it or a line is too long."""
    left_bytes = MAX_LOG_BYTES
    while line := stream.readline(MAX_LINE_BYTES + 1):
        left_bytes -= len(line)
        if len(line) > MAX_LINE_BYTES or left_bytes < 0:
            raise ValueError(
                f"expected lines of at most {MAX_LINE_BYTES} bytes, {MAX_LOG_BYTES} in all"
            )
        yield line


def _header(line: bytes) -> tuple[object, dict[str, str]]:
    raw = json.loads(line)
    version = raw["version"]
    run_config = raw.get("run_config", {})
    if not isinstance(run_config, dict):
        raise TypeError("run_config is no object")
    return version, {_text(key): _text(value) for key, value in run_config.items()}


def _entries(lines: Iterable[bytes]) -> Iterator[tuple[int, int, list[SourceState]]]:
    """Yield the entries of a log; a torn last line is left out."""
    last_bytes = 0
    for line in lines:
        if not line.endswith(b"\n"):
            return
        raw = json.loads(line)
        output_bytes = _integer(raw["output_bytes"], last_bytes)
        last_bytes = output_bytes
        states = [_source_state(one) for one in raw["sources"]]
        yield output_bytes, _integer(raw["last_track_id"], -1), states


def _source_state(raw: dict[str, Any]) -> SourceState:
    identity = FileIdentity(**raw["identity"])
    if not isinstance(raw["is_finished"], bool):
        raise TypeError("is_finished is not true or false")
    _text(identity.fingerprint)
    return SourceState(
        name=_text(raw["name"]),
        next_frame=_integer(raw["next_frame"], 0),
        is_finished=raw["is_finished"],
        identity=replace(
            identity,
            key=_text(identity.key),
            size_bytes=_integer(identity.size_bytes, -1),
            modified_ns=_integer(identity.modified_ns, -(1 << 63)),
        ),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r:.40}")
    return value


def _integer(value: object, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value < 1 << 63:
        raise ValueError(f"expected an integer from {minimum} on, got {value!r:.40}")
    return value
