from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_records import FRAMES, synthetic_record
from faceaffect.bench.configuration import BenchError, Configuration, span_grid
from faceaffect.bench.metrics import metrics_of
from faceaffect.bench.record import VERSION, Record


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    synthetic_record(1.23456789).save(tmp_path / "a.json")
    return tmp_path / "a.json"


def samples_in(path: Path) -> dict[str, Any]:
    """Load a record without its summaries, which differ by the rounding of samples."""
    raw: dict[str, Any] = json.loads(path.read_text())
    for result in raw["results"]:
        del result["summary"]
    return raw


def test_record_save_and_load_round_trips(saved: Path) -> None:
    made, read = synthetic_record(1.23456789), Record.load_file(saved)
    assert (read.created, read.machine, read.settings, read.notes) == (
        made.created,
        made.machine,
        made.settings,
        made.notes,
    )
    assert (read.results[0].configuration, read.results[0].workload) == (
        made.results[0].configuration,
        made.results[0].workload,
    )
    assert (read.machine_load, read.results[0].power) == (made.machine_load, made.results[0].power)
    for before, after in zip(metrics_of(made.results[0]), metrics_of(read.results[0]), strict=True):
        assert (before.name, before.unit, before.group) == (after.name, after.unit, after.group)
        assert after.rounds == pytest.approx(before.rounds, abs=1e-5)
    read.save(saved.with_name("b.json"))
    assert samples_in(saved.with_name("b.json")) == samples_in(saved)


def test_record_summary_matches_samples(saved: Path) -> None:
    raw = json.loads(saved.read_text())
    assert (raw["format"], raw["version"]) == ("faceaffect bench", VERSION)
    (result,) = raw["results"]
    every = np.concatenate([one["stages"]["clocks"]["cpu"]["network"] for one in result["rounds"]])
    summary = result["summary"]["clocks"]["cpu"]["network"]
    assert summary["count"] == len(every) == 5 * FRAMES
    assert summary["p95"] == pytest.approx(np.percentile(every, 95), abs=1e-4)
    assert summary["max"] == every.max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "got other JSON"),
        ({"version": 99}, f"expected version {VERSION}, got 99"),
        ({"results": [{}]}, "damaged"),
        ({"machine": None}, "damaged"),
        ({"machine_load": {"cores": 2}}, "damaged"),
    ],
)
def test_load_file_of_invalid_record_raises(
    saved: Path, change: dict[str, object], message: str
) -> None:
    saved.write_text(json.dumps({**json.loads(saved.read_text()), **change}))
    with pytest.raises(BenchError, match=message):
        Record.load_file(saved)


@pytest.mark.parametrize("content", [b"", b"[]", b"not JSON", b"\xff\xfe", b"[" * 100_000])
def test_load_file_of_other_content_raises(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(
        BenchError, match="expected a record made by `faceaffect bench --save-json`"
    ):
        Record.load_file(saved)


def test_metrics_of_has_one_value_per_round_and_mean_of_detector() -> None:
    result = synthetic_record().results[0]
    metrics = {metric.name: metric for metric in metrics_of(result)}
    assert {len(metric.rounds) for metric in metrics.values()} == {5}
    for number, one in enumerate(result.rounds):
        stages = one.stages.clocks["cpu"]
        assert metrics["detect mean, process CPU"].rounds[number] == pytest.approx(
            np.mean(stages["detect"])
        )
        assert metrics["crop p50, process CPU"].rounds[number] == pytest.approx(
            np.median(stages["crop"])
        )
        assert metrics["total p99, process CPU"].rounds[number] == pytest.approx(
            np.percentile(stages["total"], 99)
        )
    assert metrics["dropped, camera at 30 fps"].median == pytest.approx(100 * 2 / (FRAMES + 2))
    assert "peak memory, GPU" not in metrics


def test_span_grid_returns_each_combination_once() -> None:
    grid = span_grid({"num_faces": (1, 2, 2), "backend": ("onnx", "openvino")}, max_faces=4)
    assert [(one.num_faces, one.backend) for one in grid] == [
        (1, "onnx"),
        (1, "openvino"),
        (2, "onnx"),
        (2, "openvino"),
    ]
    assert {one.max_faces for one in grid} == {4}
    assert len({one.key for one in grid}) == 4


def test_configuration_key_depends_on_every_field() -> None:
    default = Configuration()
    changed = {
        "model": "small",
        "backend": "openvino",
        "device": "cuda:0",
        "precision": "fp16",
        "size": (64, 48),
        "num_faces": 2,
        "threads": 2,
        "streams": 3,
        "max_faces": 3,
        "min_face_size_px": 30,
        "yunet": "file.onnx",
        "dla_core": 0,
        "detector": "mtcnn",
    }
    keys = {Configuration(**{name: value}).key for name, value in changed.items()}  # type: ignore[arg-type]
    assert len(keys | {default.key}) == len(changed) + 1
    assert set(changed) == set(default.as_json())
    assert Configuration.from_json(
        json.loads(json.dumps(Configuration(size=(64, 48)).as_json()))
    ).size == (64, 48)
