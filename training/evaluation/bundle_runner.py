"""Runs a bundle on images and crop transforms with the kernels of the SDK."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from faceaffect import kernels
from faceaffect.bundle.bundle import open_bundle
from faceaffect.kernels.activations import sigmoid
from faceaffect.outputs.decode import decode_affect
from faceaffect.types import Affect, FloatArray, Frame, PixelFormat

BATCH: Final = 64


class BundleRunner:
    """Runs the network of a bundle with ONNX Runtime on `threads` threads."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.bundle = open_bundle(folder)
        self.spec = self.bundle.spec
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            self.bundle.onnx, options, providers=["CPUExecutionProvider"]
        )
        self._names = [output.name for output in self.session.get_outputs()]

    def crop(self, image: NDArray[np.uint8], crop_to_frame: FloatArray) -> FloatArray:
        """Returns the normalized crop [3, S, S] of an RGB [H, W, 3] or gray [H, W] image."""
        frame = Frame(
            np.ascontiguousarray(image), PixelFormat.GRAY if image.ndim == 2 else PixelFormat.RGB
        )
        crop = self.spec.crop
        crops = kernels.crop_face(
            frame, crop_to_frame[None], size_px=crop.size_px, mean=crop.mean, std=crop.std
        )
        return np.asarray(crops[0], np.float32)

    def heads(self, crops: Iterable[FloatArray]) -> dict[str, FloatArray]:
        """Returns all heads, and `au_logit`, of normalized crops [3, S, S]."""
        rows = iter(crops)
        parts: dict[str, list[FloatArray]] = {name: [] for name in self._names}
        while batch := list(islice(rows, BATCH)):
            outputs = self.session.run(self._names, {"crops": np.stack(batch)})
            for name, value in zip(self._names, outputs, strict=True):
                parts[name].append(value)
        heads = {name: np.concatenate(values) for name, values in parts.items()}
        heads["au_logit"] = kernels.au_gcn(heads["au_nodes"], self.bundle.graph)
        return heads

    def predict(
        self, images: Iterable[NDArray[np.uint8]], transforms: Iterable[FloatArray]
    ) -> dict[str, FloatArray]:
        """Returns all heads of images that are cropped with transforms [2, 3]."""
        return self.heads(map(self.crop, images, transforms))

    def affect(self, heads: dict[str, FloatArray]) -> Affect:
        """Decodes heads as the SDK does, without smoothing."""
        return decode_affect(
            heads["au_logit"], heads["expression_logit"], heads["va_raw"], self.spec
        )


def face_probability(heads: dict[str, FloatArray]) -> FloatArray:
    """Returns the probability [N] that a crop contains a face."""
    return sigmoid(heads["face_logit"])
