"""Opening bundles: only verified bytes are used; errors name file, expectation and finding."""

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


def test_open_bundle_holds_verified_bytes(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert bundle.spec.name == "tiny"
    assert bundle.onnx == (folder / MODEL_FILE).read_bytes()
    assert bundle.graph.width == 4


@pytest.mark.parametrize("precision", ["fp16", INT8_CPU])
def test_model_bytes_with_delta_of_another_model_raises(precision: str) -> None:
    bundle = open_bundle()  # the shipped bundle has both
    half = len(bundle.onnx) // 2
    other = replace(bundle, onnx=bundle.onnx[:half] + bytes(len(bundle.onnx) - half))
    assert len(model_bytes(bundle, precision)) > 100_000
    with pytest.raises(
        BundleError, match=rf"model\.{precision}\.\w+: the delta was made for another fp32 model"
    ):
        model_bytes(other, precision)
    with pytest.raises(BundleError, match="expected ONNX"):
        model_bytes(other, "fp32")


@pytest.mark.parametrize("name", [MODEL_FILE, GRAPH_FILE])
def test_open_bundle_with_flipped_bit_raises(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        BundleError, match=rf"{name}: expected SHA-256 [0-9a-f]{{64}}, got [0-9a-f]{{64}}"
    ):
        open_bundle(folder)


@pytest.mark.parametrize("name", [MODEL_FILE, GRAPH_FILE])
def test_open_bundle_with_missing_file_raises(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"needs {name}, which cannot be read"):
        open_bundle(folder)


@pytest.mark.parametrize("name", [MODEL_FILE, GRAPH_FILE])
def test_open_bundle_with_unlisted_file_raises(folder: Path, name: str) -> None:
    edit_spec(folder, lambda raw: raw["files"].pop(name))
    with pytest.raises(
        BundleError, match=rf"expected {MODEL_FILE} and {GRAPH_FILE}, missing \['{name}'\]"
    ):
        open_bundle(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "sub/../../secret", "", ".", "..", "a\0b"]
)
def test_open_bundle_never_reads_outside_its_folder(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_bytes(b"secret")
    edit_spec(folder, lambda raw: raw["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert "SHA-256" not in str(caught.value), "the file was read"


def test_open_bundle_with_damaged_graph_weights_raises(folder: Path) -> None:
    content = (folder / GRAPH_FILE).read_bytes()
    for damaged in (b"", b"garbage", content[:20], content[:-4], b"\xff" * 64):
        (folder / GRAPH_FILE).write_bytes(damaged)
        seal(folder)
        with pytest.raises(BundleError, match=GRAPH_FILE):
            open_bundle(folder)


def test_open_bundle_with_other_graph_tensors_raises(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"adjacency": np.eye(3, dtype=np.float32)}, folder / GRAPH_FILE)
    seal(folder)
    with pytest.raises(
        BundleError, match=rf"{GRAPH_FILE}: .*missing \['readout.bias', 'readout.weight'\]"
    ):
        open_bundle(folder)


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_open_backend_with_damaged_network_raises(folder: Path, keep: int) -> None:
    (folder / MODEL_FILE).write_bytes((folder / MODEL_FILE).read_bytes()[:keep])
    seal(folder)
    with pytest.raises(BundleError, match=rf"{MODEL_FILE}: expected (one )?ONNX.*export it again"):
        open_backend("onnx", open_bundle(folder))


@pytest.mark.parametrize("head", sorted(HEADS))
def test_open_backend_with_missing_head_raises(tmp_path: Path, head: str) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path / "tiny", omit_head=head))
    with pytest.raises(BundleError, match=rf"{MODEL_FILE}: .*missing \['{head}'\]"):
        open_backend("onnx", bundle)


def test_open_backend_with_crop_size_mismatch_raises(folder: Path) -> None:
    edit_spec(folder, lambda raw: raw["crop"].update(size_px=96))
    with pytest.raises(
        BundleError, match=r"expected input crops \[N, 3, 96, 96\], got crops \['N', 3, 112, 112\]"
    ):
        open_backend("onnx", open_bundle(folder))


def test_find_bundle_by_name_in_models_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEAFFECT_MODELS", str(folder.parent))
    assert folder in list_bundles()
    assert find_bundle("tiny") == folder
    with pytest.raises(BundleError, match=r"one of \[.*'tiny'.*\], got 'tinny'"):
        find_bundle("tinny")


def test_find_bundle_with_folder_of_a_built_in_name_keeps_default_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = find_bundle()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()  # of somebody's videos
    assert find_bundle() == find_bundle("default") == shipped
    (tmp_path / "clips").mkdir()
    with pytest.raises(BundleError, match=r"expected spec\.json in clips, got none"):
        open_bundle("clips")
