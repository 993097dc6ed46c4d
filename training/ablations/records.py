"""Records of runs, one JSON file each; all tables are made of them."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

RECORDS: Final = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "methods"


class RecordError(ValueError):
    """A record is unreadable or was made under other conditions."""


@dataclass(frozen=True, slots=True)
class Record:
    """Configuration and result of a run.

    `scores` holds metrics by task, `score` the mean score of `tasks`.
    """

    name: str
    method: str
    scenario: str
    variant: str
    seed: int
    tasks: tuple[str, ...]
    score: float
    scores: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)  # of the scenario's data
    recipe: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    scale: float = 1.0
    cpu_seconds: float | None = None  # training and evaluation; None if the run was resumed
    parameters: int = 0
    machine: str = ""

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{self.name}.{os.getpid()}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / f"{self.name}.json")


def read_record(path: Path) -> Record:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**{**values, "tasks": tuple(values["tasks"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RecordError(
            f"expected the record of a run, got {path} ({type(error).__name__}: {error}); "
            "delete it to run again"
        ) from None
    if record.name != path.stem:
        raise RecordError(
            f"expected the record of {path.stem} in {path}, got that of {record.name}"
        )
    return record


def read_records(folder: Path) -> dict[str, Record]:
    """Read all records of a folder, by name; their file names begin with M."""
    names = sorted(folder.glob("M*.json")) if folder.is_dir() else []
    return {path.stem: read_record(path) for path in names}


def finished_runs(trunks: Mapping[str, str], folder: Path, scale: float) -> set[str]:
    """Names of the runs that have a record.

    Args:
        trunks: SHA-256 of the initial trunk weights, by run name.

    Raises:
        RecordError: A record was made with another scale or trunk; one table must not mix them.
    """
    names = set()
    for name, trunk in trunks.items():
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        record = read_record(path)
        if record.scale != scale:
            raise RecordError(
                f"expected scale {scale:g}, got {path} of scale {record.scale:g}; "
                "use another --records folder or that scale"
            )
        if record.recipe.get("trunk", "") != trunk:
            raise RecordError(
                f"expected trunk {trunk[:12] or 'none'}, got {path} with "
                f"{record.recipe.get('trunk', '')[:12] or 'none'}; "
                "use another --records folder or that --trunk"
            )
        names.add(name)
    return names


def machine_name() -> str:
    """Processor model and number of cores."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"
