"""What a benchmark leaves behind: every sample, as JSON that later releases can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from faceaffect.bench.cold_start import FreshRun
from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.jetson_power import PowerSamples
from faceaffect.bench.machine_load import MachineLoad
from faceaffect.bench.percentiles import Distribution
from faceaffect.bench.simulated_camera import LiveRound
from faceaffect.bench.stage_timing import StageRound
from faceaffect.bench.workload import Workload

FORMAT: Final = "faceaffect bench"
VERSION: Final = 1
_DIGITS: Final = 5

_Part = TypeVar("_Part")


@dataclass(slots=True)
class Round:
    """One pass of one configuration in a process of its own; `live` by frames a second.

    `reference_ms` is what a fixed piece of work took beside it, by clock (see `reference_work`).
    """

    stages: StageRound
    fresh: FreshRun
    reference_ms: dict[str, float]
    live: dict[str, LiveRound] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Round:
        """Raises what the wrong form of a dictionary raises."""
        live = {fps: _must(LiveRound, one) for fps, one in raw["live"].items()}
        reference_ms = {str(clock): float(ms) for clock, ms in raw["reference_ms"].items()}
        return cls(
            _must(StageRound, raw["stages"]), _must(FreshRun, raw["fresh"]), reference_ms, live
        )


@dataclass(slots=True)
class Result:
    """`runs` is what the pipeline says of itself."""

    configuration: Configuration
    workload: Workload
    runs: dict[str, str]
    rounds: list[Round] = field(default_factory=list)
    power: PowerSamples | None = None

    def distribution(self, clock: str, stage: str) -> Distribution:
        """Over all rounds; of nothing where the stage was not measured on this clock."""
        return Distribution.of(
            [one.stages.clocks.get(clock, {}).get(stage, []) for one in self.rounds]
        )

    def latency(self, fps: str) -> Distribution:
        """Of a live source, over all rounds."""
        return Distribution.of([one.live[fps].latency_ms for one in self.rounds if fps in one.live])


@dataclass(slots=True)
class Record:
    """`settings` are the options that hold for all configurations; `notes` is what a reader must
    know; `incomplete` says why there are fewer rounds than were wanted, and is empty where there
    are not.
    """

    made: str
    machine: dict[str, str]
    settings: dict[str, Any]
    results: list[Result]
    load: MachineLoad | None = None
    notes: list[str] = field(default_factory=list)
    incomplete: str = ""

    def save(self, path: Path) -> None:
        """Write the JSON in one step; its `summary` parts are for readers and are made anew when it
        is loaded.
        """
        raw = {"format": FORMAT, "version": VERSION, **asdict(self)}
        for result, one in zip(self.results, raw["results"], strict=True):
            one["summary"] = _summary(result)
        partial = path.with_name(path.name + ".tmp")
        partial.write_text(
            json.dumps(_rounded(raw), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        partial.replace(path)

    @classmethod
    def load_file(cls, path: Path) -> Record:
        """Raises BenchError where the file holds no record of this format and version."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise BenchError(
                f"{path}: a record made by `faceaffect bench --save-json` was wanted: {error}"
            ) from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise BenchError(
                f"{path}: a record made by `faceaffect bench --save-json` was wanted, this is other JSON"
            )
        if raw.get("version") != VERSION:
            raise BenchError(
                f"{path}: version must be {VERSION}, got {raw.get('version')!r}; "
                "use the faceaffect release that made it, or measure again"
            )
        try:
            return cls(
                made=str(raw["made"]),
                machine={str(name): str(fact) for name, fact in raw["machine"].items()},
                settings=dict(raw["settings"]),
                results=[_result(one) for one in raw["results"]],
                load=_part(MachineLoad, raw["load"]),
                notes=[str(note) for note in raw["notes"]],
                incomplete=str(raw["incomplete"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BenchError(f"{path}: the record is damaged ({error!r}); measure again") from None


def _result(raw: dict[str, Any]) -> Result:
    workload = dict(raw["workload"])
    workload["size"] = tuple(workload["size"])
    return Result(
        configuration=Configuration.from_json(raw["configuration"]),
        workload=_must(Workload, workload),
        runs=dict(raw["runs"]),
        rounds=[Round.from_json(one) for one in raw["rounds"]],
        power=_part(PowerSamples, raw["power"]),
    )


def _must(make: Callable[..., _Part], raw: dict[str, Any]) -> _Part:
    wanted = {one.name for one in fields(make)}  # type: ignore[arg-type]
    if set(raw) != wanted:
        raise ValueError(
            f"{getattr(make, '__name__', make)} must have {sorted(wanted)}, got {sorted(raw)}"
        )
    return make(**raw)


def _part(make: Callable[..., _Part], raw: dict[str, Any] | None) -> _Part | None:
    return None if raw is None else _must(make, raw)


def _summary(result: Result) -> dict[str, Any]:
    """Percentiles by clock and stage, and by rate of the live source."""
    clocks = result.rounds[0].stages.clocks if result.rounds else {}
    return {
        "key": result.configuration.key,
        "clocks": {
            c: {s: asdict(result.distribution(c, s)) for s in stages}
            for c, stages in clocks.items()
        },
        "live": {
            fps: asdict(result.latency(fps))
            for fps in (result.rounds[0].live if result.rounds else {})
        },
    }


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as a clock is worth; NaN, which JSON has no word for, as null."""
    if isinstance(value, float):
        return round(value, _DIGITS) if value == value else None
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value
