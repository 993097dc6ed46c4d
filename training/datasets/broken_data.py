"""Errors of the dataset readers: file, line, and expected and actual content."""

from __future__ import annotations

from pathlib import Path

_MAX_SHOWN = 20


class BrokenFileError(ValueError):
    """Invalid content of one file; `line` counts from 1."""

    def __init__(self, path: Path | str, line: int | None, problem: str) -> None:
        self.path = Path(path)
        self.line = line
        self.problem = problem
        super().__init__(f"{path}{'' if line is None else f':{line}'}: {problem}")


class BrokenDatasetError(ValueError):
    """All invalid files of a dataset, so that they can be fixed at once."""

    def __init__(self, broken: list[BrokenFileError]) -> None:
        self.broken = broken
        shown = "\n".join(f"  {each}" for each in broken[:_MAX_SHOWN])
        more = f"\n  ... and {len(broken) - _MAX_SHOWN} more" if len(broken) > _MAX_SHOWN else ""
        count = "1 file is" if len(broken) == 1 else f"{len(broken)} files are"
        super().__init__(
            f"{count} broken (fix them, or skip them with skip_broken):\n{shown}{more}"
        )
