"""Faces of a video or of independent images, found by a detector and tracked."""

from __future__ import annotations

import numpy as np

from faceaffect.detectors.detector import Detector
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.face_network import FrameNetwork
from faceaffect.tracking.located_faces import LocatedFaces
from faceaffect.tracking.tracker import FaceTracker
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import FloatArray, Frame


class TrackedFaces:
    """Locates faces with a `FaceTracker`."""

    def __init__(
        self, detector: Detector, network: FrameNetwork, config: TrackerConfig, timer: StageTimer
    ) -> None:
        self._detector = detector
        self._tracker = FaceTracker(detector, network.run, config, timer)

    @property
    def detector_name(self) -> str:
        """Name of the detector, for reports."""
        return self._detector.name

    @property
    def next_crops(self) -> FloatArray:
        """Transforms [N, 2, 3] (crop to frame) of the tracked faces in the next frame."""
        return self._tracker.next_crops

    def locate(self, frame: Frame) -> LocatedFaces:
        """Faces [N] of the next frame."""
        outputs = self._tracker.update(frame)
        tracks = self._tracker.tracks
        count = len(tracks)
        landmarks = [track.landmarks_xy for track in tracks]
        boxes = [track.box_xyxy for track in tracks]
        return LocatedFaces(
            outputs,
            np.array(landmarks, np.float32).reshape(count, *outputs.landmarks_xy.shape[1:]),
            np.array(boxes, np.float32).reshape(count, 4),
            np.array([track.track_id for track in tracks], np.int64),
        )

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces; track ids start at 1 again only with `track_ids`."""
        self._tracker.reset(track_ids)

    def set_next_track_id(self, track_id: int) -> None:
        """Give new tracks ids of at least `track_id`."""
        self._tracker.set_next_track_id(track_id)

    def create_prefetcher(self) -> DetectionPrefetcher | None:
        """Prefetcher for the source that begins now; None if the detector cannot be cloned."""
        clone = self._detector.clone()
        return None if clone is None else self._tracker.create_prefetcher(clone)

    def detect_in_background(self) -> None:
        """Run the detector of a live source beside its frames, until `reset`."""
        self._tracker.detect_in_background()
