"""Misaligned and strange arrays: kernels copy inputs and refuse outputs, and never load them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceaffect import kernels
from faceaffect.kernels import GcnWeights
from faceaffect.kernels.native import native

needs_native = pytest.mark.skipif(native is None, reason="needs the native kernels")


def misaligned(values: np.ndarray) -> Any:
    """A copy of `values` that begins at an odd address."""
    buffer = np.zeros(values.nbytes + 1, np.uint8)
    array = buffer[1:].view(np.uint8)
    copy = np.frombuffer(array.data, values.dtype, values.size).reshape(values.shape)
    copy[...] = values
    assert not copy.flags.aligned
    return copy


@pytest.fixture(scope="module")
def graph() -> GcnWeights:
    random = np.random.default_rng(0)
    return GcnWeights(
        adjacency=np.full((12, 12), 1 / 12, np.float32),
        layer_weights=(random.normal(size=(8, 8)).astype(np.float32),),
        layer_biases=(np.zeros(8, np.float32),),
        readout_weight=random.normal(size=(12, 8)).astype(np.float32),
        readout_bias=np.zeros(12, np.float32),
    )


def test_au_gcn_of_misaligned_nodes_equals_aligned(graph: GcnWeights) -> None:
    nodes = np.random.default_rng(1).normal(size=(2, 12, 8)).astype(np.float32)
    np.testing.assert_array_equal(
        kernels.au_gcn(misaligned(nodes), graph), kernels.au_gcn(nodes, graph)
    )


def test_misaligned_output_is_refused(graph: GcnWeights) -> None:
    nodes = np.zeros((2, 12, 8), np.float32)
    out = misaligned(np.zeros((2, 12), np.float32))
    with pytest.raises(ValueError, match="out must be a writable, aligned, C-contiguous"):
        kernels.au_gcn(nodes, graph, out=out)
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="out must be a writable, aligned, C-contiguous"):
        kernels.normalize(
            pixels, (0.5,) * 3, (0.5,) * 3, out=misaligned(np.zeros((1, 3, 4, 4), np.float32))
        )


@needs_native
def test_bindings_copy_misaligned_arguments() -> None:
    random = np.random.default_rng(2)
    logits = random.normal(size=(3, 12)).astype(np.float32)
    expressions = random.normal(size=(3, 7)).astype(np.float32)
    va = random.normal(size=(3, 2)).astype(np.float32)
    transforms = random.normal(size=(3, 2, 3)).astype(np.float32)
    pose = random.normal(size=(3, 3)).astype(np.float32)
    points = random.normal(size=(3, 5, 2)).astype(np.float32)
    calls: list[tuple[Any, tuple[np.ndarray, ...], tuple[Any, ...]]] = [
        (native.sigmoid, (logits[0].copy(),), ()),
        (native.decode_scores, (logits, expressions, va), (True,)),
        (native.transform_points, (transforms, points), ()),
        (native.pose_in_frame, (pose, transforms), ()),
        (native.cosine_similarity, (logits[0].copy(), logits[1].copy()), ()),
    ]
    for function, arrays, rest in calls:
        got = function(*map(misaligned, arrays), *rest)
        np.testing.assert_array_equal(got, function(*arrays, *rest))


def smooth(on: np.ndarray, **changes: np.ndarray) -> np.ndarray:
    scores, mean = np.full(21, 0.5, np.float32), np.zeros(21, np.float32)
    limits = [np.full(12, value, np.float32) for value in (0.3, 0.5, 0.7)]
    native.smooth_scores(
        changes.get("scores", scores), changes.get("mean", mean), on, False, 1.0, 1.0, 1.0, *limits
    )
    return on


@needs_native
def test_smooth_scores_with_a_bool_other_than_0_and_1_reads_it_as_true() -> None:
    strange = np.full(12, 2, np.uint8).view(bool)
    assert smooth(strange).view(np.uint8).tolist() == [1] * 12, "0.5 is above the lower threshold"
    assert smooth(np.zeros(12, bool)).view(np.uint8).tolist() == [0] * 12


@needs_native
def test_smooth_scores_with_misaligned_output_raises() -> None:
    with pytest.raises(ValueError, match="mean must be a writable, aligned"):
        smooth(np.zeros(12, bool), mean=misaligned(np.zeros(21, np.float32)))
