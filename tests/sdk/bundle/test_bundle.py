"""Bundles: only checked bytes are used, and every refusal names the file, what was wanted and what
came.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceaffect.backends import open_backend
from faceaffect.bundle.bundle import (
    GRAPH_FILE,
    MODEL_FILE,
    find_bundle,
    list_bundles,
    model_bytes,
    open_bundle,
)
from faceaffect.bundle.model_spec import HEADS, INT8_CPU, SPEC_FILE, BundleError
from tests.sdk.tiny_bundle import seal, write_tiny_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def edit_spec(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    raw = json.loads((folder / SPEC_FILE).read_text())
    change(raw)
    (folder / SPEC_FILE).write_text(json.dumps(raw))


def test_opens_and_holds_the_checked_bytes(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.spec.name == "tiny"
    assert bundle.onnx == (folder / MODEL_FILE).read_bytes()
    assert bundle.graph.width == 4


@pytest.mark.parametrize("precision", ["fp16", INT8_CPU])
def test_a_network_told_by_another_one_is_refused_when_it_is_wanted(precision: str) -> None:
    bundle = open_bundle()  # the shipped one, which has both
    half = len(bundle.onnx) // 2
    other = replace(bundle, onnx=bundle.onnx[:half] + bytes(len(bundle.onnx) - half))
    assert len(model_bytes(bundle, precision)) > 100_000
    with pytest.raises(
        BundleError, match=rf"model\.{precision}\.\w+: it was made of another fp32 network"
    ):
        model_bytes(other, precision)
    assert model_bytes(other, "fp32") == other.onnx


@pytest.mark.parametrize("name", [MODEL_FILE, GRAPH_FILE])
def test_one_changed_bit_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        BundleError, match=rf"{name}: SHA-256 must be [0-9a-f]{{64}}, got [0-9a-f]{{64}}"
    ):
        open_bundle(folder)


@pytest.mark.parametrize("name", [MODEL_FILE, GRAPH_FILE])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"needs {name}, which cannot be read"):
        open_bundle(folder)


@pytest.mark.parametrize("name", [MODEL_FILE, GRAPH_FILE])
def test_spec_must_list_both_files(folder: Path, name: str) -> None:
    edit_spec(folder, lambda raw: raw["files"].pop(name))
    with pytest.raises(
        BundleError, match=rf"must name {MODEL_FILE} and {GRAPH_FILE}, missing \['{name}'\]"
    ):
        open_bundle(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "sub/../../secret", "", ".", "..", "a\0b"]
)
def test_no_file_outside_the_bundle_is_read(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_bytes(b"secret")
    edit_spec(folder, lambda raw: raw["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError) as refused:
        open_bundle(folder)
    assert "SHA-256" not in str(refused.value), "the file was read"


def test_damaged_graph_weights(folder: Path) -> None:
    content = (folder / GRAPH_FILE).read_bytes()
    for damaged in (b"", b"garbage", content[:20], content[:-4], b"\xff" * 64):
        (folder / GRAPH_FILE).write_bytes(damaged)
        seal(folder)
        with pytest.raises(BundleError, match=GRAPH_FILE):
            open_bundle(folder)


def test_graph_weights_of_another_form(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"adjacency": np.eye(3, dtype=np.float32)}, folder / GRAPH_FILE)
    seal(folder)
    with pytest.raises(
        BundleError, match=rf"{GRAPH_FILE}: .*missing \['readout.bias', 'readout.weight'\]"
    ):
        open_bundle(folder)


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_damaged_network(folder: Path, keep: int) -> None:
    (folder / MODEL_FILE).write_bytes((folder / MODEL_FILE).read_bytes()[:keep])
    seal(folder)
    with pytest.raises(BundleError, match=f"{MODEL_FILE}: ONNX Runtime cannot load it"):
        open_backend("onnx", open_bundle(folder))


@pytest.mark.parametrize("head", sorted(HEADS))
def test_missing_head(tmp_path: Path, head: str) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny", omit_head=head))
    with pytest.raises(BundleError, match=rf"{MODEL_FILE}: .*missing \['{head}'\]"):
        open_backend("onnx", bundle)


def test_crop_size_of_network_and_spec_must_agree(folder: Path) -> None:
    edit_spec(folder, lambda raw: raw["crop"].update(size_px=96))
    with pytest.raises(
        BundleError, match=r"input must be crops \[N, 3, 96, 96\], got \[3, 112, 112\]"
    ):
        open_backend("onnx", open_bundle(folder))


def test_found_by_name_in_the_folders_of_the_user(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEAFFECT_MODELS", str(folder.parent))
    assert folder in list_bundles()
    assert find_bundle("tiny") == folder
    with pytest.raises(BundleError, match=r"one of \[.*'tiny'.*\], got 'tinny'"):
        find_bundle("tinny")
