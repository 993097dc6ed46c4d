"""Records of runs that never were, with a spread that is known."""

from __future__ import annotations

import numpy as np

from faceaffect.bench.cold_start import FreshRun
from faceaffect.bench.configuration import Configuration
from faceaffect.bench.jetson_power import PowerSamples
from faceaffect.bench.machine_load import MachineLoad
from faceaffect.bench.record import Record, Result, Round
from faceaffect.bench.simulated_camera import LiveRound
from faceaffect.bench.stage_timing import ALL_STAGES, TOTAL, StageRound
from faceaffect.bench.workload import Workload

FRAMES = 40


def made_up_round(random: np.random.Generator, level: float, machine_ms: float) -> Round:
    """Every figure is about `level`, with a tenth of it as the deviation from frame to frame."""

    def samples() -> list[float]:
        return (level * random.lognormal(0, 0.1, FRAMES)).tolist()

    clocks = {
        clock: {stage: samples() for stage in (*ALL_STAGES, TOTAL)} for clock in ("wall", "cpu")
    }
    seconds = [float(level * random.lognormal(0, 0.02)) for _ in range(6)]
    fresh = FreshRun(*seconds[:4], 1000 / seconds[4], seconds[5], 100 * seconds[5], None)
    live = {"30": LiveRound(samples(), FRAMES + 2, 2, 0.1)}
    reference_ms = {
        clock: machine_ms * float(random.lognormal(0, 0.001)) for clock in ("wall", "cpu")
    }
    return Round(StageRound(clocks, 1000 / level, level, 1.0, 3), fresh, reference_ms, live)


def made_up_record(
    level: float = 2.0,
    rounds: int = 5,
    seed: int = 0,
    spread: float = 0.01,
    machine_ms: float = 1.0,
    **settings: object,
) -> Record:
    """`spread` is the deviation from round to round, as a share of `level`; `machine_ms` is what
    the fixed work takes.
    """
    random = np.random.default_rng(seed)
    configuration = Configuration(**{"size": (640, 360), "faces": 1, **settings})  # type: ignore[arg-type]
    result = Result(
        configuration,
        Workload("clip.mp4", (640, 360), 30.0, "a clip <b>"),
        {"backend": "onnx 1.0"},
        [
            made_up_round(random, level * (1 + spread * random.standard_normal()), machine_ms)
            for _ in range(rounds)
        ],
        PowerSamples([5.0, 7.0], [41.0]),
    )
    load = MachineLoad(2, 0.1, 0.01, 0.0)
    return Record(
        "2026-01-01T00:00:00+00:00",
        {"processor": "made up"},
        {"frames": FRAMES},
        [result],
        load,
        ["a <note>"],
    )
