"""A model of stages over the faces of a frame: crops, facial parts and audio in, raw read-outs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from faceaffect import kernels
from faceaffect.audio.audio_source import AudioSource
from faceaffect.audio.feature_stream import AudioFeatureStream
from faceaffect.bundle.model_spec import CropSpec, ModelSpec
from faceaffect.bundle.stage_spec import AUDIO, OUTPUT_HEADS
from faceaffect.geometry import (
    estimate_crop_to_frame,
    invert_transforms,
    keypoints_from_landmarks,
    rescale_transforms,
    shift_transforms_down,
    transform_points,
)
from faceaffect.multistage.face_part_mask import part_mask
from faceaffect.multistage.stage_runner import StageCall, StageRunner
from faceaffect.system.stage_timer import StageTimer
from faceaffect.types import FloatArray, Frame, IdArray

ReadOuts = dict[str, FloatArray]
"""`au_logit` [N, 12], `expression_logit` [N, 7] and `va` [N, 2]; NaN where the model has no such
head.
"""

_CUT: Final = 3  # channels of an image


class MultiStageModel:
    """Reads each frame's faces once, in order; what it remembers of them ends with `reset`, or a
    second after they left.
    """

    def __init__(self, spec: ModelSpec, stages: Sequence[StageCall], clock: StageTimer) -> None:
        self.spec = spec
        self._runner = StageRunner(stages, spec.input_fps)
        self._clock = clock
        self._columns = next(
            (stage.spec.inputs[AUDIO][-1] for stage in stages if AUDIO in stage.spec.inputs), 0
        )
        self._listener: AudioFeatureStream | None = None

    @property
    def listens(self) -> bool:
        """Whether it was given audio since the last `reset`."""
        return self._listener is not None

    def listen(self, audio: AudioSource) -> None:
        """Hear `audio` with the frames that come; raises AudioError where its rate is another than
        the model's.
        """
        assert self.spec.audio is not None
        self._listener = AudioFeatureStream(audio, self.spec.audio, self._columns)

    def reset(self) -> None:
        """Forget all faces and the audio."""
        self._runner.reset()
        self._listener = None

    def read(self, frame: Frame, landmarks_xy: FloatArray, track_id: IdArray) -> ReadOuts:
        """Read-outs of the faces [N] whose landmarks [N, 68, 2] lie in `frame`."""
        if self._listener is not None:
            self._clock.start("network")
            self._runner.hear(self._listener.until(frame.time_s))
        self._clock.start("crop")
        crops = crop_faces(frame, landmarks_xy, self.spec.crop)
        self._clock.start("network")
        found = self._runner.see(crops, track_id.tolist(), frame.time_s)
        read: ReadOuts = {}
        for head, (tensor, shape) in OUTPUT_HEADS.items():
            rows = (
                [face[tensor] for face in found]
                if head in self.spec.heads
                else [np.full(shape, np.nan)] * len(found)
            )
            read[tensor] = np.array(rows, np.float32).reshape(len(found), *shape)
        return read


def crop_faces(frame: Frame, landmarks_xy: FloatArray, crop: CropSpec) -> FloatArray:
    """Normalized crops [N, 3, S, S] of faces placed by their own landmarks [N, 68, 2], or [N, 4, S,
    S] with their parts.
    """
    maps = shift_transforms_down(
        estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy)), crop.offset_y_px
    )
    maps = rescale_transforms(maps, crop.size_px)
    if crop.part_mask_norm is None:
        return kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
    crops = np.empty((len(maps), *crop.shape), np.float32)
    crops[:, :_CUT] = kernels.crop_face(
        frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std
    )
    for row, points in enumerate(transform_points(invert_transforms(maps), landmarks_xy)):
        crops[row, _CUT] = part_mask_channel(points, crop)
    return crops


def part_mask_channel(landmarks_px: FloatArray, crop: CropSpec) -> FloatArray:
    """The normalized image of facial parts [S, S] of landmarks [68, 2] in crop pixels; empty where
    they are not finite.
    """
    assert crop.part_mask_norm is not None
    mean, std = crop.part_mask_norm
    if not np.isfinite(landmarks_px).all():
        return np.full((crop.size_px, crop.size_px), -mean / std, np.float32)
    gray = part_mask(landmarks_px, crop.size_px).astype(np.float32) / np.float32(255)
    return np.asarray((gray - np.float32(mean)) / np.float32(std), np.float32)
