"""Read faces: cut them out, run the network, bring its landmarks back into the frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from faceaffect import kernels
from faceaffect.backends import Backend, FrameBackend, HeadOutputs
from faceaffect.bundle.model_spec import HEADS, BundleError, CropSpec
from faceaffect.geometry import rescale_transforms, transform_points
from faceaffect.outputs.decode import sigmoid
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.appearance import appearance_descriptors, descriptors_from_grid
from faceaffect.types import FloatArray, Frame


@dataclass(frozen=True, slots=True)
class FaceOutputs:
    """What the network said of N crops of one frame."""

    maps: FloatArray  # [N, 2, 3] crop to frame, of a 112 px crop whatever the network's size
    landmarks_xy: FloatArray  # [N, 68, 2] frame pixels
    score: FloatArray  # [N] probability of a face
    portraits: FloatArray  # [N, P]
    heads: HeadOutputs  # raw, [N, ...] each

    def pick(self, rows: list[int]) -> FaceOutputs:
        """The same, of some rows."""
        heads = {name: values[rows] for name, values in self.heads.items()}
        return FaceOutputs(
            self.maps[rows], self.landmarks_xy[rows], self.score[rows], self.portraits[rows], heads
        )

    def join(self, other: FaceOutputs) -> FaceOutputs:
        """These rows, then those of `other`."""
        if not len(self.score):
            return other
        return FaceOutputs(
            np.concatenate([self.maps, other.maps]),
            np.concatenate([self.landmarks_xy, other.landmarks_xy]),
            np.concatenate([self.score, other.score]),
            np.concatenate([self.portraits, other.portraits]),
            {
                name: np.concatenate([values, other.heads[name]])
                for name, values in self.heads.items()
            },
        )


Reader = Callable[[Frame, FloatArray], FaceOutputs]
"""Reads the crops that maps [N, 2, 3] cut out of a frame."""


class FaceNetwork:
    """Crop and network as one step; buffers are kept from frame to frame."""

    def __init__(self, backend: Backend, crop: CropSpec, clock: StageTimer) -> None:
        self._backend = backend
        self._frame_backend = backend if isinstance(backend, FrameBackend) else None
        self._crop = crop
        self._clock = clock
        self._buffer = np.zeros((1, 3, crop.size_px, crop.size_px), np.float32)
        # Warms the network up and tells the shapes of a reading of nobody: networks need not take N
        # = 0.
        heads = backend.infer(self._buffer)
        _check_shapes(heads)
        self._nobody = {name: values[:0].copy() for name, values in heads.items()}

    @property
    def node_width(self) -> int:
        """D of the head `au_nodes` [N, 12, D]."""
        return int(self._nobody["au_nodes"].shape[2])

    def read(self, frame: Frame, maps: FloatArray) -> FaceOutputs:
        """The reading of maps [N, 2, 3] in `frame`."""
        count, crop, clock = len(maps), self._crop, self._clock
        if count > len(self._buffer):
            self._buffer = np.empty((count, 3, crop.size_px, crop.size_px), np.float32)
        clock.enter("crop")
        crop_maps = rescale_transforms(maps, crop.size_px)
        if count and self._frame_backend is not None:
            clock.enter("network")  # crop and graph layer among it: they run as one
            heads, grid = self._frame_backend.infer_frame(frame, crop_maps)
            clock.enter("follow")
            return self._reading(maps, crop_maps, heads, descriptors_from_grid(grid))
        crops = kernels.crop_face(
            frame,
            crop_maps,
            size_px=crop.size_px,
            mean=crop.mean,
            std=crop.std,
            out=self._buffer[:count],
        )
        clock.enter("network")
        heads = self._backend.infer(crops) if count else self._nobody
        clock.enter("follow")
        return self._reading(maps, crop_maps, heads, appearance_descriptors(crops))

    @staticmethod
    def _reading(
        maps: FloatArray, crop_maps: FloatArray, heads: HeadOutputs, portraits: FloatArray
    ) -> FaceOutputs:
        return FaceOutputs(
            maps=maps,
            landmarks_xy=transform_points(crop_maps, heads["landmarks_px"]),
            score=sigmoid(heads["face_logit"]),
            portraits=portraits,
            heads=heads,
        )


def _check_shapes(heads: HeadOutputs) -> None:
    """Raise BundleError unless each head of one crop has the shape that the contract gives it."""
    for name, shape in HEADS.items():
        got = heads[name].shape
        wanted = ", ".join(["N", *map(str, shape)])
        if len(got) != 1 + len(shape) or any(
            w not in ("D", g) for w, g in zip(shape, got[1:], strict=True)
        ):
            raise BundleError(
                f"model.onnx: head {name} must be float32 [{wanted}], got {list(got)} for one crop"
            )
