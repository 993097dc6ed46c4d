"""GcnWeights: validation, saving and loading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.kernel_cases import graph_weights
from faceaffect.kernels import GcnWeights, au_gcn


def test_weights_after_saving_and_loading_are_equal(tmp_path: Path) -> None:
    weights = graph_weights(24, 3, hidden=9)
    weights.to_safetensors(tmp_path / "graph.safetensors")
    nodes = np.ones((2, 12, 24), np.float32)
    again = GcnWeights.from_safetensors(tmp_path / "graph.safetensors")
    np.testing.assert_array_equal(au_gcn(nodes, again), au_gcn(nodes, weights))
    assert again.width == 24
    assert load_file(tmp_path / "graph.safetensors")["layer.0.weight"].shape == (24, 9)


def test_weights_file_with_other_keys_raises(tmp_path: Path) -> None:
    save_file(
        {"adjacency": np.eye(12, dtype=np.float32), "extra": np.zeros(1, np.float32)},
        tmp_path / "x.safetensors",
    )
    with pytest.raises(
        ValueError, match=r"missing \['readout.bias', 'readout.weight'\], unknown \['extra'\]"
    ):
        GcnWeights.from_safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("adjacency", np.zeros((12, 11)), r"adjacency must be float32 \[12, 12\], got \(12, 11\)"),
        ("layer_biases", (np.zeros(16),), r"layer_biases must hold one array a layer \(2\), got 1"),
        (
            "layer_biases",
            (np.zeros(16), np.zeros(3)),
            r"layer.1.bias must be float32 \[16\], got \(3,\)",
        ),
        (
            "layer_weights",
            (np.zeros((16, 16)), np.zeros((9, 16))),
            r"layer.1.weight must be float32 \[16, D\]",
        ),
        ("readout_weight", np.zeros((12, 15)), r"readout.weight must be float32 \[12, 16\]"),
        ("readout_bias", np.full(12, np.nan), r"readout.bias must be finite"),
    ],
)
def test_weights_with_wrong_shapes_raise(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(graph_weights(16), **{name: value})
