"""Multi-stage models: crops, face-part masks and audio in, logits out."""

from __future__ import annotations

import logging
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
from faceaffect.multistage.face_part_mask import face_part_mask
from faceaffect.multistage.stage_runner import StageCall, StageRunner
from faceaffect.outputs.affect_decoder import AffectLogits
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.located_faces import LocatedFaces
from faceaffect.types import FloatArray, Frame, IdArray

log = logging.getLogger("faceaffect")

HeadValues = dict[str, FloatArray]
"""`au_logit` [N, 12], `expression_logit` [N, 7], `va` [N, 2]; NaN if the model lacks the head."""

_IMAGE_CHANNELS: Final = 3


class MultiStageModel:
    """Predicts the faces of each frame of a source, in order, with a memory for each face."""

    def __init__(self, spec: ModelSpec, stages: Sequence[StageCall], timer: StageTimer) -> None:
        self.spec = spec
        self._runner = StageRunner(stages, spec.input_fps)
        self._timer = timer
        self._mel_columns = next(
            (stage.spec.inputs[AUDIO][-1] for stage in stages if AUDIO in stage.spec.inputs), 0
        )
        self._audio: AudioFeatureStream | None = None
        self._audio_decided = False  # whether the user attached audio, or chose to have none

    def attach_audio(self, audio: AudioSource | None) -> None:
        """Use `audio` until `reset`; None runs without audio and silences the warning.

        Raises:
            AudioError: The sample rate of `audio` is not the model's.
        """
        self._audio_decided = True
        if audio is not None:
            assert self.spec.audio is not None
            self._audio = AudioFeatureStream(audio, self.spec.audio, self._mel_columns)

    def reset(self) -> None:
        """Forget all faces and the audio."""
        # The next source needs a decision of its own if this one had audio.
        self._audio_decided = self._audio_decided and self._audio is None
        self._runner.reset()
        self._audio = None

    def predict(self, frame: Frame, faces: LocatedFaces) -> AffectLogits:
        """Logits of the faces [N] of `frame`."""
        if self.spec.uses_audio and not self._audio_decided:
            self._audio_decided = True
            log.warning(
                "faceaffect: %s uses audio and has none (Pipeline.attach_audio): "
                "it runs on video alone",
                self.spec.name,
            )
        values = self.run(frame, faces.landmarks_xy, faces.track_id)
        return AffectLogits(
            values["au_logit"], values["expression_logit"], values["va"], is_va_raw=False
        )

    def run(self, frame: Frame, landmarks_xy: FloatArray, track_id: IdArray) -> HeadValues:
        """Run the stages on the faces [N] with landmarks [N, 68, 2] in `frame`."""
        if self._audio is not None:
            self._timer.enter("network")
            self._runner.push_audio(self._audio.read_until(frame.time_s))
        self._timer.enter("crop")
        track_ids = track_id.tolist()
        # Between the frames of `input_fps` the last outputs are repeated.
        crops = (
            crop_faces(frame, landmarks_xy, self.spec.crop)
            if self._runner.needs_crops(track_ids, frame.time_s)
            else np.empty((0, *self.spec.crop.shape), np.float32)
        )
        self._timer.enter("network")
        outputs = self._runner.step(crops, track_ids, frame.time_s)
        values: HeadValues = {}
        for head, (tensor, shape) in OUTPUT_HEADS.items():
            if head in self.spec.heads:
                rows = [face_outputs[tensor] for face_outputs in outputs]
            else:
                rows = [np.full(shape, np.nan, np.float32)] * len(outputs)
            values[tensor] = np.array(rows, np.float32).reshape(len(outputs), *shape)
        return values


def crop_faces(frame: Frame, landmarks_xy: FloatArray, crop: CropSpec) -> FloatArray:
    """Crop faces aligned by their landmarks [N, 68, 2], and normalize them.

    Returns:
        Crops [N, 3, S, S], or [N, 4, S, S] with the face-part mask.
    """
    transforms = shift_transforms_down(
        estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy)), crop.offset_y_px
    )
    transforms = rescale_transforms(transforms, crop.size_px)
    images = kernels.crop_face(
        frame, transforms, size_px=crop.size_px, mean=crop.mean, std=crop.std
    )
    if crop.part_mask_norm is None:
        return images
    crops = np.empty((len(transforms), *crop.shape), np.float32)
    crops[:, :_IMAGE_CHANNELS] = images
    for row, points in enumerate(transform_points(invert_transforms(transforms), landmarks_xy)):
        crops[row, _IMAGE_CHANNELS] = part_mask_channel(points, crop)
    return crops


def part_mask_channel(landmarks_px: FloatArray, crop: CropSpec) -> FloatArray:
    """Normalized face-part mask [S, S] of landmarks [68, 2] in crop pixels.

    The mask is empty where landmarks are not finite.
    """
    assert crop.part_mask_norm is not None
    mean, std = crop.part_mask_norm
    if not np.isfinite(landmarks_px).all():
        return np.full((crop.size_px, crop.size_px), -mean / std, np.float32)
    gray = face_part_mask(landmarks_px, crop.size_px).astype(np.float32) / np.float32(255)
    return np.asarray((gray - np.float32(mean)) / np.float32(std), np.float32)
