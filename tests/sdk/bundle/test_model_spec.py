"""`spec.json`: what was saved is loaded, and what cannot be used is refused with its field."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from faceaffect.bundle.model_spec import SPEC_FILE, BundleError, ModelSpec
from tests.sdk.tiny_bundle import tiny_spec


@pytest.fixture
def raw() -> dict[str, Any]:
    """A valid spec as it comes out of JSON."""
    return dict(json.loads(json.dumps(asdict(tiny_spec()))))


def test_saved_spec_is_loaded_again(tmp_path: Path) -> None:
    tiny_spec().save(tmp_path)
    assert ModelSpec.load(tmp_path) == tiny_spec()


def test_missing_spec_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=rf"needs {SPEC_FILE}, none in .*{tmp_path.name}"):
        ModelSpec.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"NaN5"])
def test_garbage_is_no_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SPEC_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=SPEC_FILE):
        ModelSpec.load(tmp_path)


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_json_of_another_type(value: Any) -> None:
    with pytest.raises(BundleError, match=f"must hold a JSON object, got {type(value).__name__}"):
        ModelSpec.from_json(value)


@pytest.mark.parametrize("version", [0, 3, "1", True, None])
def test_unknown_version(raw: dict[str, Any], version: Any) -> None:
    raw["version"] = version
    with pytest.raises(BundleError, match=r"version must be 1 to 2, got"):
        ModelSpec.from_json(raw)


def test_missing_and_unknown_fields_are_named(raw: dict[str, Any]) -> None:
    del raw["license"]
    raw["license"] = "x"
    with pytest.raises(
        BundleError, match=r"missing fields \['license'\], unknown fields \['license'\]"
    ):
        ModelSpec.from_json(raw)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("crop", {"size_px": 112, "mean": [0, 0, 0]}, "wrong form"),
        ("crop", {"size_px": 112, "mean": [0, 0], "std": [1, 1, 1]}, "wrong form"),
        ("crop", {"size_px": float("inf"), "mean": [0, 0, 0], "std": [1, 1, 1]}, "wrong form"),
        ("crop", {"size_px": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}, "size_px"),
        ("crop", {"size_px": 112, "mean": [0, 0, 0], "std": [1, 0, 1]}, "std"),
        ("crop", {"size_px": 112, "mean": [0, 0, 0], "std": [1, float("nan"), 1]}, "std"),
        ("crop", {"size_px": 112, "mean": [0, float("nan"), 0], "std": [1, 1, 1]}, "mean"),
        ("crop", "no crop", "wrong form"),
        ("au_names", 7, "wrong form"),
        ("au_names", ["AU1"], "labels must be"),
        ("expression_names", ["happiness"] * 7, "labels must be"),
        ("au_thresholds", [0.5] * 11, "12 numbers"),
        ("au_thresholds", [0.5] * 11 + [1.0], "12 numbers"),
        ("au_thresholds", [0.5] * 11 + [float("nan")], "12 numbers"),
        ("au_thresholds", [0.5] * 11 + [10**400], "wrong form"),
        ("files", ["model.onnx"], "wrong form"),
    ],
)
def test_field_of_the_wrong_form(raw: dict[str, Any], field: str, value: Any, said: str) -> None:
    raw[field] = value
    with pytest.raises(BundleError, match=said):
        ModelSpec.from_json(raw)
