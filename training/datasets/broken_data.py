"""What a reader says of data that cannot be read: which file, which line, what was wanted and what
came.
"""

from __future__ import annotations

from pathlib import Path

_SHOWN = 20


class BrokenFileError(ValueError):
    """One place in one file; `line` counts from 1 as an editor does."""

    def __init__(self, path: Path | str, line: int | None, problem: str) -> None:
        self.path, self.line, self.problem = Path(path), line, problem
        super().__init__(f"{path}{'' if line is None else f':{line}'}: {problem}")


class BrokenDatasetError(ValueError):
    """Everything that is broken in a data set, so that it can be mended in one go."""

    def __init__(self, broken: list[BrokenFileError]) -> None:
        self.broken = broken
        shown = "\n".join(f"  {each}" for each in broken[:_SHOWN])
        more = f"\n  ... and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        count = "1 file is" if len(broken) == 1 else f"{len(broken)} files are"
        super().__init__(
            f"{count} broken (mend them, or leave them out with skip_broken):\n{shown}{more}"
        )
