"""The shipped default bundle: files, size, interface and model card."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.bundle.bundle import CARD_FILE, open_bundle
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE
from faceaffect.bundle.int8_delta import INT8_CPU_DELTA_FILE
from faceaffect.bundle.model_spec import HEADS


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("default")


def test_default_bundle_has_all_files_within_size_limit(bundle):
    assert bundle.spec.files.keys() == {
        "model.onnx",
        FP16_DELTA_FILE,
        INT8_CPU_DELTA_FILE,
        "graph.safetensors",
        CARD_FILE,
    }
    assert sum((bundle.path / name).stat().st_size for name in bundle.spec.files) <= 8 * 1024 * 1024
    assert bundle.spec.crop.size_px == 112


def test_default_network_has_specified_interface(bundle):
    import onnxruntime

    session = onnxruntime.InferenceSession(bundle.onnx, providers=["CPUExecutionProvider"])
    (crops,) = session.get_inputs()
    assert (crops.name, crops.shape[1:]) == ("crops", [3, 112, 112])
    assert {output.name for output in session.get_outputs()} == HEADS.keys()
    outputs = session.run(list(HEADS), {"crops": np.zeros((2, 3, 112, 112), np.float32)})
    assert all(np.isfinite(value).all() and len(value) == 2 for value in outputs)
    assert outputs[list(HEADS).index("au_nodes")].shape[2] == bundle.graph.width


def test_default_model_card_names_sources_and_limits(bundle):
    card = (bundle.path / CARD_FILE).read_text(encoding="utf-8")
    for word in ("FER+", "MediaPipe", "Unsplash", "unresolved", "Must not be used"):
        assert word in card
