"""`spec.json`: round trip, and errors that name the invalid field."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from faceaffect.bundle.model_spec import SPEC_FILE, BundleError, ModelSpec
from tests.sdk.tiny_bundle import tiny_spec


@pytest.fixture
def raw() -> dict[str, Any]:
    """A valid spec as parsed JSON."""
    return dict(json.loads(json.dumps(asdict(tiny_spec()))))


def test_model_spec_save_and_load_round_trip(tmp_path: Path) -> None:
    tiny_spec().save(tmp_path)
    assert ModelSpec.load(tmp_path) == tiny_spec()


def test_model_spec_load_from_empty_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=rf"expected {SPEC_FILE} in .*{tmp_path.name}"):
        ModelSpec.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"NaN5"])
def test_model_spec_load_of_invalid_json_raises(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SPEC_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=SPEC_FILE):
        ModelSpec.load(tmp_path)


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_model_spec_from_json_of_another_type_raises(value: Any) -> None:
    with pytest.raises(BundleError, match=re.escape(f"expected an object, got {value!r}")):
        ModelSpec.from_json(value)


@pytest.mark.parametrize("version", [0, 4, "1", True, None])
def test_model_spec_with_unknown_version_raises(raw: dict[str, Any], version: Any) -> None:
    raw["version"] = version
    with pytest.raises(BundleError, match=r"version: expected (an integer >= 1|at most 3).*, got"):
        ModelSpec.from_json(raw)


def test_model_spec_with_missing_and_unknown_fields_names_them(raw: dict[str, Any]) -> None:
    del raw["license"]
    raw["color"] = "x"
    with pytest.raises(
        BundleError, match=r"missing fields \['license'\], unknown fields \['color'\]"
    ):
        ModelSpec.from_json(raw)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("crop", {"size_px": 112, "mean": [0, 0, 0]}, r"crop: missing fields \['std'\]"),
        (
            "crop",
            {"size_px": 112, "mean": [0, 0], "std": [1, 1, 1]},
            "crop.mean: expected 3 numbers",
        ),
        (
            "crop",
            {"size_px": float("inf"), "mean": [0, 0, 0], "std": [1, 1, 1]},
            "size_px: expected an integer",
        ),
        ("crop", {"size_px": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}, "size_px"),
        ("crop", {"size_px": 112, "mean": [0, 0, 0], "std": [1, 0, 1]}, "std"),
        ("crop", {"size_px": 112, "mean": [0, 0, 0], "std": [1, float("nan"), 1]}, "std"),
        ("crop", {"size_px": 112, "mean": [0, float("nan"), 0], "std": [1, 1, 1]}, "mean"),
        ("crop", "no crop", "crop: expected an object, got 'no crop'"),
        ("au_names", 7, "au_names: expected an array, got 7"),
        ("au_names", ["AU1"], "labels: expected"),
        ("expression_names", ["happiness"] * 7, "labels: expected"),
        ("au_thresholds", [0.5] * 11, "12 numbers"),
        ("au_thresholds", [0.5] * 11 + [1.0], "12 numbers"),
        ("au_thresholds", [0.5] * 11 + [float("nan")], "12 numbers"),
        ("au_thresholds", [0.5] * 11 + [10**400], r"au_thresholds\[11\]: expected a number within"),
        ("files", ["model.onnx"], "files: expected an object"),
    ],
)
def test_model_spec_with_invalid_field_raises(
    raw: dict[str, Any], field: str, value: Any, message: str
) -> None:
    raw[field] = value
    with pytest.raises(BundleError, match=message):
        ModelSpec.from_json(raw)


def test_model_spec_with_intensities_round_trips_and_refuses_knots_that_fall(
    raw: dict[str, Any],
) -> None:
    raw["au_intensity"] = [[0, 0.1, 0.3, 0.6, 0.9, 1]] * 12
    assert ModelSpec.from_json(raw).au_intensity == ((0.0, 0.1, 0.3, 0.6, 0.9, 1.0),) * 12
    for knots in ([0, 0.1, 0.1, 0.6, 0.9, 1], [-0.1, 0.1, 0.3, 0.6, 0.9, 1]):
        raw["au_intensity"] = [knots] * 12
        with pytest.raises(BundleError, match="au_intensity: expected null or 6 increasing"):
            ModelSpec.from_json(raw)
    raw["au_intensity"] = [[0, 0.1, 0.3, 0.6, 0.9, 1]] * 11
    with pytest.raises(BundleError, match="for each of 12 AUs"):
        ModelSpec.from_json(raw)
