"""Runs the network on faces: crops them, infers, and maps the landmarks back into the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from faceaffect import kernels
from faceaffect.backends import Backend, FrameBackend, HeadOutputs
from faceaffect.bundle.model_spec import HEADS, BundleError, CropSpec
from faceaffect.geometry import rescale_transforms, transform_points
from faceaffect.kernels.activations import sigmoid
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.appearance import appearance_descriptors, descriptors_from_grid
from faceaffect.types import FloatArray, Frame


@dataclass(frozen=True, slots=True)
class FaceOutputs:
    """Network outputs for N crops of one frame."""

    crop_to_frame: FloatArray  # [N, 2, 3], of 112 px crops whatever the network's input size
    landmarks_xy: FloatArray  # [N, 68, 2], frame pixels
    face_score: FloatArray  # [N], probability of a face
    appearance: FloatArray  # [N, P], descriptors
    heads: HeadOutputs  # raw, [N, ...] each

    def select(self, rows: list[int]) -> FaceOutputs:
        """Outputs of some rows."""
        heads = {name: values[rows] for name, values in self.heads.items()}
        return FaceOutputs(
            self.crop_to_frame[rows],
            self.landmarks_xy[rows],
            self.face_score[rows],
            self.appearance[rows],
            heads,
        )

    def concat(self, other: FaceOutputs) -> FaceOutputs:
        """Append the rows of `other`."""
        if not len(self.face_score):
            return other
        return FaceOutputs(
            np.concatenate([self.crop_to_frame, other.crop_to_frame]),
            np.concatenate([self.landmarks_xy, other.landmarks_xy]),
            np.concatenate([self.face_score, other.face_score]),
            np.concatenate([self.appearance, other.appearance]),
            {
                name: np.concatenate([values, other.heads[name]])
                for name, values in self.heads.items()
            },
        )

    def replace(self, row: int, other: FaceOutputs, other_row: int) -> FaceOutputs:
        """These rows, but `row` is row `other_row` of `other`."""

        def replaced(mine: FloatArray, theirs: FloatArray) -> FloatArray:
            values: FloatArray = mine.copy()
            values[row] = theirs[other_row]
            return values

        return FaceOutputs(
            replaced(self.crop_to_frame, other.crop_to_frame),
            replaced(self.landmarks_xy, other.landmarks_xy),
            replaced(self.face_score, other.face_score),
            replaced(self.appearance, other.appearance),
            {name: replaced(values, other.heads[name]) for name, values in self.heads.items()},
        )


RunFaceNetwork = Callable[[Frame, FloatArray], FaceOutputs]
"""Runs the network on the crops of a frame, given their transforms [N, 2, 3] (crop to frame)."""


class FrameNetwork(Protocol):
    """A network that runs on crops of a frame."""

    def run(self, frame: Frame, crop_to_frame: FloatArray) -> FaceOutputs:
        """Outputs for the crops of `frame` with transforms [N, 2, 3]."""
        ...


class FaceNetwork:
    """Crop and network as one step, with buffers that are reused from frame to frame."""

    def __init__(self, backend: Backend, crop: CropSpec, timer: StageTimer) -> None:
        """Run the network once, as a warm-up and to learn the shapes of its heads.

        Raises:
            BundleError: A head has another shape than the contract of `HEADS`.
        """
        self._backend = backend
        self._frame_backend = backend if isinstance(backend, FrameBackend) else None
        self._crop = crop
        self._timer = timer
        self._crops = np.zeros((1, 3, crop.size_px, crop.size_px), np.float32)
        heads = backend.infer(self._crops)
        _check_shapes(heads)
        # Networks need not support N = 0.
        self._empty_heads = {name: values[:0].copy() for name, values in heads.items()}

    @property
    def node_width(self) -> int:
        """Size D of the head `au_nodes` [N, 12, D]."""
        return int(self._empty_heads["au_nodes"].shape[2])

    def run(self, frame: Frame, crop_to_frame: FloatArray) -> FaceOutputs:
        """Outputs for the crops of `frame` with transforms [N, 2, 3]."""
        count = len(crop_to_frame)
        crop = self._crop
        timer = self._timer
        if count > len(self._crops):
            self._crops = np.empty((count, 3, crop.size_px, crop.size_px), np.float32)
        timer.enter("crop")
        transforms = rescale_transforms(crop_to_frame, crop.size_px)
        if count and self._frame_backend is not None:
            timer.enter("network")  # includes crop and graph layer, which run as one
            heads, grid = self._frame_backend.infer_frame(frame, transforms)
            timer.enter("track")
            return _outputs(crop_to_frame, transforms, heads, descriptors_from_grid(grid))
        crops = kernels.crop_face(
            frame,
            transforms,
            size_px=crop.size_px,
            mean=crop.mean,
            std=crop.std,
            out=self._crops[:count],
        )
        timer.enter("network")
        heads = self._backend.infer(crops) if count else self._empty_heads
        timer.enter("track")
        return _outputs(crop_to_frame, transforms, heads, appearance_descriptors(crops))

    def run_frames(self, batch: Sequence[tuple[Frame, FloatArray]]) -> list[FaceOutputs]:
        """Outputs for the crops of several frames, each with transforms [N, 2, 3].

        All crops are one batch. The outputs share no memory with those of other runs.
        """
        self._timer.enter("crop")
        transforms = [rescale_transforms(crops, self._crop.size_px) for _, crops in batch]
        if self._frame_backend is not None:
            self._timer.enter("network")  # includes crop and graph layer, which run as one
            frames = [(frame, own) for (frame, _), own in zip(batch, transforms, strict=True)]
            heads, grid = self._frame_backend.infer_frames(frames)
            self._timer.enter("track")
            appearance = descriptors_from_grid(grid)
        else:
            heads, appearance = self._infer_on_host(batch, transforms)
        outputs = []
        begin = 0
        for (_, crops), transform in zip(batch, transforms, strict=True):
            rows = slice(begin, begin + len(crops))
            own_heads = {name: values[rows].copy() for name, values in heads.items()}
            outputs.append(_outputs(crops, transform, own_heads, appearance[rows].copy()))
            begin += len(crops)
        return outputs

    def _infer_on_host(
        self, batch: Sequence[tuple[Frame, FloatArray]], transforms: list[FloatArray]
    ) -> tuple[HeadOutputs, FloatArray]:
        """Head outputs and appearance descriptors of the crops of several frames."""
        crop = self._crop
        counts = [len(crops) for _, crops in batch]
        if sum(counts) > len(self._crops):
            self._crops = np.empty((sum(counts), *self._crops.shape[1:]), np.float32)
        begin = 0
        for (frame, _), transform in zip(batch, transforms, strict=True):
            kernels.crop_face(
                frame,
                transform,
                size_px=crop.size_px,
                mean=crop.mean,
                std=crop.std,
                out=self._crops[begin : begin + len(transform)],
            )
            begin += len(transform)
        self._timer.enter("network")
        heads = self._backend.infer(self._crops[:begin])
        self._timer.enter("track")
        return heads, appearance_descriptors(self._crops[:begin])


def _outputs(
    crop_to_frame: FloatArray, transforms: FloatArray, heads: HeadOutputs, appearance: FloatArray
) -> FaceOutputs:
    return FaceOutputs(
        crop_to_frame=crop_to_frame,
        landmarks_xy=transform_points(transforms, heads["landmarks_px"]),
        face_score=sigmoid(heads["face_logit"]),
        appearance=appearance,
        heads=heads,
    )


def _check_shapes(heads: HeadOutputs) -> None:
    """Raise BundleError unless each head of one crop has the shape of `HEADS`."""
    for name, shape in HEADS.items():
        got = heads[name].shape
        expected = ", ".join(["N", *map(str, shape)])
        if len(got) != 1 + len(shape) or any(
            side not in ("D", got_side) for side, got_side in zip(shape, got[1:], strict=True)
        ):
            raise BundleError(
                f"model.onnx: head {name} must be float32 [{expected}], "
                f"got {list(got)} for one crop"
            )
