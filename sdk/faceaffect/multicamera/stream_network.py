"""The network of one stream, which takes its outputs from a run that all streams share."""

from __future__ import annotations

import numpy as np

from faceaffect.tracking.face_network import FaceNetwork, FaceOutputs
from faceaffect.types import FloatArray, Frame


class StreamNetwork:
    """Runs the shared network, except on the crops whose outputs were already set."""

    def __init__(self, network: FaceNetwork) -> None:
        self._network = network
        self._crops: FloatArray | None = None
        self._outputs: FaceOutputs | None = None

    def set_outputs(self, crops: FloatArray, outputs: FaceOutputs) -> None:
        """Set the outputs for the first run on the next frame, if it is on these crops."""
        self._crops = crops
        self._outputs = outputs

    def run(self, frame: Frame, crop_to_frame: FloatArray) -> FaceOutputs:
        """Outputs for the crops of `frame` with transforms [N, 2, 3]."""
        crops, outputs = self._crops, self._outputs
        self._crops = self._outputs = None
        if outputs is not None and crops is not None and np.array_equal(crops, crop_to_frame):
            return outputs
        return self._network.run(frame, crop_to_frame)
