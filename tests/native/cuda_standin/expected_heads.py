"""The head outputs that a GPU backend must give, computed on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceaffect import kernels


def expected_heads(frame: Any, maps: np.ndarray, bundle: Any, cpu: Any) -> dict[str, np.ndarray]:
    crop = bundle.spec.crop
    crops = kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
    heads = {name: values.copy() for name, values in cpu.infer(crops).items()}
    heads["au_logit"] = kernels.au_gcn(heads["au_nodes"], bundle.graph)
    return heads


def difference(
    backend: Any, frame: Any, maps: np.ndarray, bundle: Any, cpu: Any, given: Any = None
) -> float:
    """Largest difference, relative to max(1, |value|), of the heads of `given`, or of `frame`."""
    heads = backend.infer_frame(frame if given is None else given, maps)[0]
    expected = expected_heads(frame, maps, bundle, cpu)
    assert list(heads) == list(expected)
    return max(
        float((np.abs(heads[name] - value) / np.maximum(1, np.abs(value))).max())
        for name, value in expected.items()
    )
