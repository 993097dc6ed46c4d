"""Benchmark records: every sample of a run, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from faceaffect.bench.bootstrap import percentile_intervals
from faceaffect.bench.cold_start import ColdStart
from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.jetson_power import PowerSamples
from faceaffect.bench.machine_load import MachineLoad
from faceaffect.bench.percentiles import Distribution
from faceaffect.bench.simulated_camera import CameraRound
from faceaffect.bench.stage_timing import Span, StageRound
from faceaffect.bench.workload import Workload
from faceaffect.system.durable_file import write_file

FORMAT: Final = "faceaffect bench"
VERSION: Final = 3
_DECIMALS: Final = 5

_Part = TypeVar("_Part")


@dataclass(slots=True)
class Round:
    """One measurement of one configuration in a new process.

    `camera` is keyed by frame rate; `reference_ms` is the time of the reference workload, by clock.
    `bounded_fps` is the highest frame rate that meets the latency bound of the settings; None if
    there is no bound.
    """

    stages: StageRound
    cold_start: ColdStart
    reference_ms: dict[str, float]
    camera: dict[str, CameraRound] = field(default_factory=dict)
    bounded_fps: float | None = None

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Round:
        """Return the round of a JSON object.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: The object has another form.
        """
        return cls(
            stages=_from_fields(
                StageRound,
                {**raw["stages"], "spans": [Span(*span) for span in raw["stages"]["spans"]]},
            ),
            cold_start=_from_fields(ColdStart, raw["cold_start"]),
            reference_ms={str(clock): float(ms) for clock, ms in raw["reference_ms"].items()},
            camera={fps: _from_fields(CameraRound, one) for fps, one in raw["camera"].items()},
            bounded_fps=None if raw["bounded_fps"] is None else float(raw["bounded_fps"]),
        )


@dataclass(slots=True)
class Result:
    """All rounds of one configuration; `pipeline_info` is the output of `Pipeline.describe`."""

    configuration: Configuration
    workload: Workload
    pipeline_info: dict[str, str]
    rounds: list[Round] = field(default_factory=list)
    power: PowerSamples | None = None

    def distribution(self, clock: str, stage: str) -> Distribution:
        """Return the distribution over all rounds; empty if the stage was not measured."""
        return Distribution.from_rounds(
            [one.stages.clocks.get(clock, {}).get(stage, []) for one in self.rounds]
        )

    def intervals(
        self, clock: str, stage: str, percentiles: tuple[int, ...] = (50, 99)
    ) -> dict[int, tuple[float, float]]:
        """Return bootstrap confidence intervals of percentiles; empty if there are no samples."""
        samples = [one.stages.clocks.get(clock, {}).get(stage, []) for one in self.rounds]
        return percentile_intervals(samples, percentiles)

    def camera_latency(self, fps: str) -> Distribution:
        """Return the latencies of a simulated camera over all rounds."""
        return Distribution.from_rounds(
            [one.camera[fps].latency_ms for one in self.rounds if fps in one.camera]
        )


@dataclass(slots=True)
class Record:
    """A benchmark run.

    `settings` are the options shared by all configurations, `notes` are warnings for readers, and
    `incomplete` tells why rounds are missing; it is empty if none are.
    """

    created: str
    machine: dict[str, str]
    settings: dict[str, Any]
    results: list[Result]
    machine_load: MachineLoad | None = None
    notes: list[str] = field(default_factory=list)
    incomplete: str = ""

    def save(self, path: Path) -> None:
        """Replace `path` atomically with JSON.

        Its `summary` objects are for human readers only; loading ignores them.
        """
        raw = {"format": FORMAT, "version": VERSION, **asdict(self)}
        for result, raw_result in zip(self.results, raw["results"], strict=True):
            raw_result["summary"] = _summary(result)
        text = json.dumps(_rounded(raw), indent=1, allow_nan=False) + "\n"
        write_file(path, text.encode("utf-8"))

    @classmethod
    def load_file(cls, path: Path) -> Record:
        """Load a record.

        Raises:
            BenchError: The file is not a record of this version.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise BenchError(
                f"{path}: expected a record made by `faceaffect bench --save-json`: {error}"
            ) from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise BenchError(
                f"{path}: expected a record made by `faceaffect bench --save-json`, got other JSON"
            )
        if raw.get("version") != VERSION:
            raise BenchError(
                f"{path}: expected version {VERSION}, got {raw.get('version')!r}; "
                "use the faceaffect release that made it, or measure again"
            )
        try:
            return cls(
                created=str(raw["created"]),
                machine={str(name): str(fact) for name, fact in raw["machine"].items()},
                settings=dict(raw["settings"]),
                results=[_result(one) for one in raw["results"]],
                machine_load=_optional(MachineLoad, raw["machine_load"]),
                notes=[str(note) for note in raw["notes"]],
                incomplete=str(raw["incomplete"]),
            )
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            IndexError,
            OverflowError,
        ) as error:
            raise BenchError(f"{path}: the record is damaged ({error!r}); measure again") from None


def _result(raw: dict[str, Any]) -> Result:
    for one in raw["rounds"]:
        stages = dict(one["stages"])
        if not isinstance(stages.pop("energy_source", ""), str):
            raise TypeError("expected energy_source to be text")
        stages["spans"] = [list(Span(*span)[1:]) for span in stages["spans"]]
        _require_numbers({**one, "stages": stages})
    workload = dict(raw["workload"])
    workload["size"] = tuple(workload["size"])
    return Result(
        configuration=Configuration.from_json(raw["configuration"]),
        workload=_from_fields(Workload, workload),
        pipeline_info=dict(raw["pipeline_info"]),
        rounds=[Round.from_json(one) for one in raw["rounds"]],
        power=_optional(PowerSamples, raw["power"]),
    )


def _require_numbers(value: object) -> None:
    """Raise TypeError unless all values in lists and objects are finite numbers or null."""
    if isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            _require_numbers(one)
    elif value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
        raise TypeError(f"expected a number, got {value!r:.40}")


def _from_fields(make: Callable[..., _Part], raw: dict[str, Any]) -> _Part:
    names = {one.name for one in fields(make)}  # type: ignore[arg-type]
    if set(raw) != names:
        name = getattr(make, "__name__", make)
        raise ValueError(f"expected {name} with {sorted(names)}, got {sorted(raw)}")
    return make(**raw)


def _optional(make: Callable[..., _Part], raw: dict[str, Any] | None) -> _Part | None:
    return None if raw is None else _from_fields(make, raw)


def _summary(result: Result) -> dict[str, Any]:
    """Return percentiles by clock and stage, and by frame rate of the simulated camera."""
    first = result.rounds[0] if result.rounds else None
    return {
        "key": result.configuration.key,
        "clocks": {
            clock: {stage: asdict(result.distribution(clock, stage)) for stage in stages}
            for clock, stages in (first.stages.clocks if first else {}).items()
        },
        "camera": {
            fps: asdict(result.camera_latency(fps)) for fps in (first.camera if first else {})
        },
    }


def _rounded(value: Any) -> Any:
    """Round numbers to the resolution of clocks; NaN, which JSON does not have, becomes null."""
    if isinstance(value, float):
        return round(value, _DECIMALS) if value == value else None
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value
