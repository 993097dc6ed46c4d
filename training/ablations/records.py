"""Records of runs: one JSON file each, all that the tables are made of."""

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
    """A record that cannot be read, or is of other conditions."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a run was and what came out; `scores` by task, `headline` the mean score of the tasks in
    `judged`.
    """

    name: str
    method: str
    setting: str
    arm: str
    seed: int
    judged: tuple[str, ...]
    headline: float
    scores: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)  # of the setting
    recipe: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    scale: float = 1.0
    cpu_seconds: float | None = None  # of training and judging; None where the run was resumed
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
        record = Record(**{**values, "judged": tuple(values["judged"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RecordError(
            f"{path} is no record of a run ({type(error).__name__}: {error}); delete it to run again"
        ) from None
    if record.name != path.stem:
        raise RecordError(f"{path} holds the record of {record.name}; it must be named after it")
    return record


def read_records(folder: Path) -> dict[str, Record]:
    """All records of a folder by name; records of runs begin with M."""
    names = sorted(folder.glob("M*.json")) if folder.is_dir() else []
    return {path.stem: read_record(path) for path in names}


def finished(trunks: Mapping[str, str], folder: Path, scale: float) -> set[str]:
    """Which runs have a record, of runs by name with the SHA-256 of the trunk that they begin with.

    RecordError where one was made with other steps or another trunk: both would be mixed in one
    table.
    """
    found = set()
    for name, trunk in trunks.items():
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        record = read_record(path)
        if record.scale != scale:
            raise RecordError(
                f"{path} was made at scale {record.scale:g}, this is {scale:g}; take another --records folder or that scale"
            )
        if record.recipe.get("trunk", "") != trunk:
            raise RecordError(
                f"{path} began with trunk {record.recipe.get('trunk', '')[:12] or 'of chance'}, this is "
                f"{trunk[:12] or 'of chance'}; take another --records folder or that --trunk"
            )
        found.add(name)
    return found


def machine_name() -> str:
    """Processor and cores, as the record names them."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"
