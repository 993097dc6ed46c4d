"""Faces of a frame with the network's outputs for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from faceaffect.geometry import pose_in_frame
from faceaffect.kernels.activations import sigmoid
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.types import Faces, FloatArray, Frame, IdArray


@dataclass(frozen=True, slots=True)
class LocatedFaces:
    """N faces of one frame; landmarks and boxes are smoothed where the faces are tracked."""

    outputs: FaceOutputs
    landmarks_xy: FloatArray  # [N, 68, 2]
    box_xyxy: FloatArray  # [N, 4]
    track_id: IdArray  # [N]

    def to_faces(self) -> Faces:
        """The public description of these faces."""
        heads = self.outputs.heads
        return Faces(
            box_xyxy=self.box_xyxy,
            landmarks_xy=self.landmarks_xy,
            track_id=self.track_id,
            face_score=self.outputs.face_score,
            quality=sigmoid(heads["quality_logit"]),
            pose_deg=pose_in_frame(heads["pose_deg"], self.outputs.crop_to_frame),
        )


class FaceLocator(Protocol):
    """Finds the faces of each frame of a source, in order."""

    @property
    def detector_name(self) -> str:
        """Name of the detector, for reports."""
        ...

    def locate(self, frame: Frame) -> LocatedFaces:
        """Faces [N] of the next frame."""
        ...

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces; track ids start at 1 again only with `track_ids`."""
        ...

    def set_next_track_id(self, track_id: int) -> None:
        """Give new tracks ids of at least `track_id`."""
        ...

    def create_prefetcher(self) -> DetectionPrefetcher | None:
        """Prefetcher for the source that begins now; None if detections cannot be prefetched."""
        ...

    def detect_in_background(self) -> None:
        """Run the detector of a live source beside its frames, until `reset`."""
        ...
