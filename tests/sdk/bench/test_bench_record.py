"""Records survive being written and read, and say what is wrong with one that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.bench.configuration import BenchError, Configuration, span_grid
from faceaffect.bench.metrics import metrics_of
from faceaffect.bench.record import Record
from tests.sdk.bench.synthetic_records import FRAMES, made_up_record


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    made_up_record(1.23456789).save(tmp_path / "a.json")
    return tmp_path / "a.json"


def samples_in(path: Path) -> dict[str, Any]:
    """All but the summaries, which are made of samples that were rounded meanwhile."""
    raw: dict[str, Any] = json.loads(path.read_text())
    for result in raw["results"]:
        del result["summary"]
    return raw


def test_round_trip(saved: Path) -> None:
    made, read = made_up_record(1.23456789), Record.load_file(saved)
    assert (read.made, read.machine, read.settings, read.notes) == (
        made.made,
        made.machine,
        made.settings,
        made.notes,
    )
    assert (read.results[0].configuration, read.results[0].workload) == (
        made.results[0].configuration,
        made.results[0].workload,
    )
    assert (read.load, read.results[0].power) == (made.load, made.results[0].power)
    for before, after in zip(metrics_of(made.results[0]), metrics_of(read.results[0]), strict=True):
        assert (before.name, before.unit, before.group) == (after.name, after.unit, after.group)
        assert after.rounds == pytest.approx(before.rounds, abs=1e-5)
    read.save(saved.with_name("b.json"))
    assert samples_in(saved.with_name("b.json")) == samples_in(saved)


def test_the_summary_is_that_of_the_samples(saved: Path) -> None:
    raw = json.loads(saved.read_text())
    assert (raw["format"], raw["version"]) == ("faceaffect bench", 1)
    (result,) = raw["results"]
    every = np.concatenate([one["stages"]["clocks"]["cpu"]["network"] for one in result["rounds"]])
    summary = result["summary"]["clocks"]["cpu"]["network"]
    assert summary["count"] == len(every) == 5 * FRAMES
    assert summary["p95"] == pytest.approx(np.percentile(every, 95), abs=1e-4)
    assert summary["max"] == every.max()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "this is other JSON"),
        ({"version": 99}, "version must be 1, got 99"),
        ({"results": [{}]}, "damaged"),
        ({"machine": None}, "damaged"),
        ({"load": {"cores": 2}}, "damaged"),
    ],
)
def test_what_is_no_record_is_refused(saved: Path, change: dict[str, object], said: str) -> None:
    saved.write_text(json.dumps({**json.loads(saved.read_text()), **change}))
    with pytest.raises(BenchError, match=said):
        Record.load_file(saved)


@pytest.mark.parametrize("content", [b"", b"[]", b"not JSON", b"\xff\xfe", b"[" * 100_000])
def test_rubbish_is_refused(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(BenchError, match="made by `faceaffect bench --save-json` was wanted"):
        Record.load_file(saved)


def test_metrics_are_one_value_a_round_and_the_detector_counts_by_its_mean() -> None:
    result = made_up_record().results[0]
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
        assert metrics["whole p99, process CPU"].rounds[number] == pytest.approx(
            np.percentile(stages["whole"], 99)
        )
    assert metrics["dropped, camera at 30 fps"].median == pytest.approx(100 * 2 / (FRAMES + 2))
    assert "peak memory, GPU" not in metrics


def test_grid_holds_every_combination_once() -> None:
    grid = span_grid({"faces": (1, 2, 2), "backend": ("onnx", "openvino")}, max_faces=4)
    assert [(one.faces, one.backend) for one in grid] == [
        (1, "onnx"),
        (1, "openvino"),
        (2, "onnx"),
        (2, "openvino"),
    ]
    assert {one.max_faces for one in grid} == {4}
    assert len({one.key for one in grid}) == 4


def test_a_configuration_s_key_tells_all_its_settings() -> None:
    usual = Configuration()
    changed = {
        "model": "small", "backend": "openvino", "device": "cuda:0", "precision": "fp16", "size": (64, 48), "faces": 2,
        "threads": 2, "streams": 3, "max_faces": 3, "min_face_size_px": 30, "yunet": "file.onnx", "dla": 0,
        "detector": "mtcnn",
    }  # fmt: skip
    keys = {Configuration(**{name: value}).key for name, value in changed.items()}  # type: ignore[arg-type]
    assert len(keys | {usual.key}) == len(changed) + 1
    assert set(changed) == set(usual.as_json())
    assert Configuration.from_json(
        json.loads(json.dumps(Configuration(size=(64, 48)).as_json()))
    ).size == (64, 48)
    older = {name: value for name, value in usual.as_json().items() if name != "detector"}
    assert Configuration.from_json(older) == usual
