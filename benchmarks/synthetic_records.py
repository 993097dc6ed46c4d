"""Synthetic benchmark records with a known level and spread."""

from __future__ import annotations

import numpy as np

from faceaffect.bench.cold_start import ColdStart
from faceaffect.bench.configuration import Configuration
from faceaffect.bench.jetson_power import PowerSamples
from faceaffect.bench.machine_load import MachineLoad
from faceaffect.bench.record import Record, Result, Round
from faceaffect.bench.simulated_camera import CameraRound
from faceaffect.bench.stage_timing import ALL_STAGES, TOTAL, StageRound
from faceaffect.bench.workload import Workload

FRAMES = 40


def synthetic_round(random: np.random.Generator, level: float, machine_ms: float) -> Round:
    """Make a round whose metrics are all about `level`, with 10 % deviation between frames."""

    def samples() -> list[float]:
        return [float(value) for value in level * random.lognormal(0, 0.1, FRAMES)]

    clocks = {
        clock: {stage: samples() for stage in (*ALL_STAGES, TOTAL)} for clock in ("wall", "cpu")
    }
    seconds = [float(level * random.lognormal(0, 0.02)) for _ in range(6)]
    wall_s, cpu_s, first_s, first_cpu_s, file_s, cpu_ms = seconds
    rates = (1000 / file_s, cpu_ms, 100 * cpu_ms)
    cold_start = ColdStart(wall_s, cpu_s, first_s, first_cpu_s, *rates, None)
    camera = {"30": CameraRound(samples(), FRAMES + 2, 2, 0.1)}
    reference_ms = {
        clock: machine_ms * float(random.lognormal(0, 0.001)) for clock in ("wall", "cpu")
    }
    return Round(StageRound(clocks, 1000 / level, level, 1.0, 3), cold_start, reference_ms, camera)


def synthetic_record(
    level: float = 2.0,
    rounds: int = 5,
    seed: int = 0,
    spread: float = 0.01,
    machine_ms: float = 1.0,
    **settings: object,
) -> Record:
    """Make a record of one configuration.

    Args:
        level: Value of all metrics.
        rounds: Number of rounds.
        seed: Seed of the samples.
        spread: Deviation between rounds, as a fraction of `level`.
        machine_ms: Time of the reference workload.
        settings: Fields of the configuration.
    """
    random = np.random.default_rng(seed)
    configuration = Configuration(**{"size": (640, 360), "num_faces": 1, **settings})  # type: ignore[arg-type]
    result = Result(
        configuration,
        Workload("clip.mp4", (640, 360), 30.0, "a clip <b>"),
        {"backend": "onnx 1.0"},
        [
            synthetic_round(random, level * (1 + spread * random.standard_normal()), machine_ms)
            for _ in range(rounds)
        ],
        PowerSamples([5.0, 7.0], [41.0]),
    )
    load = MachineLoad(2, 0.1, 0.01, 0.0)
    return Record(
        "2026-01-01T00:00:00+00:00",
        {"processor": "synthetic"},
        {"frames": FRAMES},
        [result],
        load,
        ["a <note>"],
    )
