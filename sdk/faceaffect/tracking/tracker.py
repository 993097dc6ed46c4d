"""Face tracker: between detector runs the network's landmarks place the crop of the next frame."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from faceaffect.detectors.detector import BackgroundDetector, Detections, Detector
from faceaffect.geometry import (
    FacePlacement,
    box_from_landmarks,
    estimate_crop_to_frame,
    iou,
    keypoints_from_landmarks,
    place_face,
)
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.appearance import cosine_similarity
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock
from faceaffect.tracking.face_network import FaceOutputs, RunFaceNetwork
from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.tracking.track import (
    SAME_FACE_IOU,
    Track,
    is_near,
    is_plausible,
    suppress_duplicate_tracks,
)
from faceaffect.types import FloatArray, Frame


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Thresholds and intervals of the tracker. Times are seconds of the source's clock."""

    max_faces: int = 8
    min_face_size_px: int = 40
    smooth: bool = True  # whether landmarks are smoothed

    # Face scores.
    keep_threshold: float = 0.35
    new_track_threshold: float = 0.5
    reject_threshold: float = 0.05  # below which a detection is dropped after the first crop

    # Similarities of appearance. Measured: one face in consecutive frames has at least 0.88, two
    # people have less than 0.77 in 99.9 % of the pairs.
    appearance_step_threshold: float = 0.75  # below which a tracked face is realigned
    appearance_person_threshold: float = 0.8  # below which the realigned face is somebody else
    appearance_reid_threshold: float = 0.8  # from which a new face gets the id of a lost track
    # Replaces the two above in the first frame of a shot, where another person is likely. Measured:
    # two people in front of one background have 0.80, one person has at least 0.88.
    appearance_after_cut_threshold: float = 0.85

    # Detector runs.
    min_detect_interval_s: float = 0.3
    max_detect_interval_s: float = 1.2
    fast_detect_interval_s: float = 0.25  # replaces both with a fast detector
    # Largest interval between runs at full resolution of a fast detector while a face is tracked.
    full_resolution_interval_s: float = 1.2
    max_idle_interval_s: float = 0.25  # while no face is tracked
    lost_track_timeout_s: float = 2.0  # how long a lost track can be resumed


class FaceTracker:
    """Tracks the faces of one source; `tracks` are those of the last frame.

    A `BackgroundDetector` runs beside the next frame, in which the faces that it finds appear; on
    the first frame of a source, which may be the only one, the tracker waits for it.
    """

    def __init__(
        self,
        detector: Detector,
        run: RunFaceNetwork,
        config: TrackerConfig,
        timer: StageTimer | None = None,
    ) -> None:
        self._detector = detector
        self._background = detector if isinstance(detector, BackgroundDetector) else None
        self._is_detecting = False
        self._run = run
        self._config = config
        self._timer = timer or StageTimer()
        fast = detector.is_fast
        self._initial_schedule = DetectionSchedule(
            config.fast_detect_interval_s if fast else config.min_detect_interval_s,
            config.fast_detect_interval_s if fast else config.max_detect_interval_s,
            full_resolution_interval_s=config.full_resolution_interval_s,
            max_idle_interval_s=config.max_idle_interval_s,
        )
        self._next_id = 1
        self.reset()

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces, as for a new source; ids start at 1 again only with `track_ids`."""
        if track_ids:
            self._next_id = 1
        self.tracks: list[Track] = []
        self._lost_tracks: list[Track] = []
        self._drop_background_run()
        self._shot_detector = ShotChangeDetector()
        self._is_cut = False
        self._schedule = self._initial_schedule
        self._clock = MonotonicClock()
        self._prefetcher: DetectionPrefetcher | None = None

    def set_next_track_id(self, track_id: int) -> None:
        """Give new tracks ids of at least `track_id`; ids never go back."""
        self._next_id = max(self._next_id, track_id)

    def create_prefetcher(self, detector: Detector) -> DetectionPrefetcher:
        """Take detections from a prefetcher over a clone of the detector, until `reset`."""
        self._prefetcher = DetectionPrefetcher(detector, self._schedule)
        return self._prefetcher

    def update(self, frame: Frame) -> FaceOutputs:
        """Track the faces into `frame`, and detect new ones when the schedule says so.

        Returns:
            Outputs of the network, row for row with `tracks`.
        """
        frame = self._with_monotonic_time(frame)
        now_s = frame.time_s
        self._is_cut = cut = self._shot_detector.update(frame)
        tracked, outputs = self._update_tracks(frame)
        lost = len(tracked) < len(self.tracks)
        self.tracks = tracked
        self._lost_tracks = [
            track
            for track in self._lost_tracks
            if now_s - track.last_seen_s <= self._config.lost_track_timeout_s
        ]
        if cut:
            self._drop_background_run()  # its faces are of another shot
        elif self._background is not None and self._is_detecting:
            outputs = self._finish_background_run(self._background, frame, outputs)
        if cut or lost or self._schedule.should_detect(now_s):
            full_resolution = cut or lost or self._schedule.full_resolution(now_s)
            if self._background is not None and self._schedule.has_run:
                with self._timer.stage("detect"):
                    self._background.start(frame, full_resolution=full_resolution)
                self._is_detecting = True
                self._reschedule(now_s, full_resolution, has_new_tracks=False)
            else:
                outputs = self._detect_new_faces(frame, outputs, full_resolution)
        return outputs

    def _finish_background_run(
        self, detector: BackgroundDetector, frame: Frame, outputs: FaceOutputs
    ) -> FaceOutputs:
        """Faces that a run on the frame before found start or resume a track in this one."""
        self._is_detecting = False
        count_before = len(self.tracks)
        with self._timer.stage("detect"):
            detections = detector.finish()
        outputs = self._add_tracks(frame, outputs, detections)
        if len(self.tracks) > count_before:
            self._schedule = replace(
                self._schedule,
                interval_s=self._initial_schedule.interval_s,
                idle_runs=0,
                has_tracks=True,
                has_room=len(self.tracks) < self._config.max_faces,
            )
        return outputs

    def _drop_background_run(self) -> None:
        """Wait for the run that was started, if any, and forget its faces."""
        if self._background is not None and self._is_detecting:
            self._is_detecting = False
            with suppress(RuntimeError):  # of a lost GPU: the next run reports it
                self._background.finish()

    @property
    def next_crops(self) -> FloatArray:
        """Transforms [N, 2, 3] (crop to frame) of the tracks, for the next frame."""
        crops = [track.next_crop for track in self.tracks]
        return np.array(crops, np.float32).reshape(-1, 2, 3)

    def _with_monotonic_time(self, frame: Frame) -> Frame:
        """The frame, at a later time than the last one."""
        if self._clock.peek(frame.time_s) < self._schedule.last_run_s:
            # The time stamps went so far back that this is a new run of the same source.
            self._schedule = replace(
                self._schedule, last_run_s=-np.inf, last_full_resolution_s=-np.inf
            )
        now_s = self._clock.tick(frame.time_s)
        return frame if now_s == frame.time_s else replace(frame, time_s=now_s)

    def _update_tracks(self, frame: Frame) -> tuple[list[Track], FaceOutputs]:
        """Tracks that continue in `frame`, with their outputs; the others become lost tracks."""
        tracks = self.tracks
        outputs = self._run(frame, self.next_crops)
        rows: list[int] = []
        for row, track in enumerate(tracks):
            landmarks_xy = outputs.landmarks_xy[row]
            placement = place_face(landmarks_xy)
            if self._continues(frame, outputs, row, placement):
                track.update(
                    landmarks_xy,
                    placement,
                    outputs.appearance[row],
                    frame.time_s,
                    self._config.smooth,
                )
                rows.append(row)
            else:
                self._lost_tracks.append(track)
        rows = suppress_duplicate_tracks(rows, tracks)
        if len(rows) < len(tracks):
            outputs = outputs.select(rows)
        return [tracks[row] for row in rows], outputs

    def _continues(
        self, frame: Frame, outputs: FaceOutputs, row: int, placement: FacePlacement
    ) -> bool:
        """Whether the crop of track `row` shows a face, and that of the same person."""
        appearance = self.tracks[row].appearance
        config = self._config
        if outputs.face_score[row] < config.keep_threshold:
            return False
        if not is_plausible(frame, placement, outputs.crop_to_frame[row]):
            return False
        if not self._is_cut:
            similarity = cosine_similarity(appearance, outputs.appearance[row])
            if similarity >= config.appearance_step_threshold:
                return True
        realigned = self._run(frame, placement.crop_to_frame[None])
        threshold = (
            config.appearance_after_cut_threshold
            if self._is_cut
            else config.appearance_person_threshold
        )
        return bool(
            realigned.face_score[0] >= config.keep_threshold
            and cosine_similarity(appearance, realigned.appearance[0]) >= threshold
        )

    def _detect_new_faces(
        self, frame: Frame, outputs: FaceOutputs, full_resolution: bool
    ) -> FaceOutputs:
        """Run the detector; faces that are not tracked yet start or resume a track."""
        count_before = len(self.tracks)
        outputs = self._add_tracks(frame, outputs, self._detect(frame, full_resolution))
        has_new_tracks = len(self.tracks) > count_before
        self._reschedule(frame.time_s, full_resolution, has_new_tracks)
        return outputs

    def _add_tracks(
        self, frame: Frame, outputs: FaceOutputs, detections: Detections
    ) -> FaceOutputs:
        """Faces that are not tracked yet start or resume a track; their outputs are appended."""
        config = self._config
        untracked = self._untracked(detections)[: config.max_faces - len(self.tracks)]
        if untracked:
            crops = estimate_crop_to_frame(detections.keypoints_xy[untracked])
            # The detector's keypoints are coarse: the network's own landmarks refine the crop.
            for _ in range(2):
                coarse = self._run(frame, crops)
                # Fast detectors have false positives: what is clearly no face is dropped at once.
                kept_xy = coarse.landmarks_xy[coarse.face_score >= config.reject_threshold]
                crops = estimate_crop_to_frame(keypoints_from_landmarks(kept_xy))
            refined = self._run(frame, crops)
            rows = [row for row in range(len(crops)) if self._is_face(frame, refined, row)]
            rows = self._not_overlapping_tracks(rows, refined)
            rows = self._verify(frame, rows, refined)
            for row in rows:
                self.tracks.append(self._start_track(refined, row, frame.time_s))
            if rows:
                outputs = outputs.concat(refined.select(rows))
        return outputs

    def _detect(self, frame: Frame, full_resolution: bool) -> Detections:
        if self._prefetcher is not None:
            detections = self._prefetcher.pop(frame, full_resolution)
            if detections is not None:
                return detections
        with self._timer.stage("detect"):
            return self._detector.detect(frame, full_resolution=full_resolution)

    def _reschedule(self, now_s: float, full_resolution: bool, has_new_tracks: bool) -> None:
        """Schedule the next detector run after one at `now_s`."""
        count = len(self.tracks)
        schedule = self._schedule.advance(now_s, full_resolution)
        restart = has_new_tracks or bool(self._lost_tracks)
        self._schedule = replace(
            schedule,
            interval_s=self._initial_schedule.interval_s if restart else schedule.interval_s,
            idle_runs=0 if count else self._schedule.idle_runs + 1,
            has_tracks=count > 0,
            has_room=count < self._config.max_faces,
        )
        if self._prefetcher is not None:
            self._prefetcher.reschedule(self._schedule)

    def _untracked(self, detections: Detections) -> list[int]:
        """Rows of the detections whose center is in no tracked face."""
        if not self.tracks:
            return list(range(len(detections)))
        boxes = np.stack([track.box_xyxy for track in self.tracks])
        centers = detections.keypoints_xy.mean(axis=1)[:, None]
        inside = (centers >= boxes[None, :, :2]) & (centers <= boxes[None, :, 2:])
        return [int(row) for row in np.flatnonzero(~inside.all(axis=2).any(axis=1))]

    def _is_face(self, frame: Frame, outputs: FaceOutputs, row: int) -> bool:
        landmarks_xy = outputs.landmarks_xy[row]
        min_height_px = 0.6 * self._config.min_face_size_px
        return bool(
            outputs.face_score[row] >= self._config.new_track_threshold
            and np.ptp(landmarks_xy[:, 1]) >= min_height_px
            and is_plausible(frame, place_face(landmarks_xy), outputs.crop_to_frame[row])
        )

    def _not_overlapping_tracks(self, rows: list[int], outputs: FaceOutputs) -> list[int]:
        """Rows whose face overlaps no track and no earlier row."""
        boxes = [track.box_xyxy for track in self.tracks]
        kept = []
        for row in rows:
            box = box_from_landmarks(outputs.landmarks_xy[row : row + 1])[0]
            if all(iou(box, other) < SAME_FACE_IOU for other in boxes):
                boxes.append(box)
                kept.append(row)
        return kept

    def _verify(self, frame: Frame, rows: list[int], outputs: FaceOutputs) -> list[int]:
        """Rows that the detector's verifier accepts at the network's landmarks."""
        if not rows:
            return rows
        crops = estimate_crop_to_frame(keypoints_from_landmarks(outputs.landmarks_xy[rows]))
        with self._timer.stage("detect"):
            is_accepted = self._detector.verify(frame, crops).tolist()
        return [row for row, accepted in zip(rows, is_accepted, strict=True) if accepted]

    def _start_track(self, outputs: FaceOutputs, row: int, time_s: float) -> Track:
        """A track for a new face: a lost one that it certainly is, else one with a new id."""
        landmarks_xy = outputs.landmarks_xy[row]
        appearance = outputs.appearance[row]
        track_id = self._resume_lost_track(landmarks_xy, appearance, time_s)
        if track_id is None:
            track_id = self._next_id
            self._next_id += 1
        track = Track(track_id, landmarks_xy, appearance, time_s)
        track.update(
            landmarks_xy, place_face(landmarks_xy), appearance, time_s, self._config.smooth
        )
        return track

    def _resume_lost_track(
        self, landmarks_xy: FloatArray, appearance: FloatArray, time_s: float
    ) -> int | None:
        """Id of the most similar lost track nearby, which is no longer lost."""
        threshold = (
            self._config.appearance_after_cut_threshold
            if self._is_cut
            else self._config.appearance_reid_threshold
        )
        similarities = [cosine_similarity(t.appearance, appearance) for t in self._lost_tracks]
        for index in sorted(range(len(similarities)), key=lambda i: -similarities[i]):
            track = self._lost_tracks[index]
            gap_s = time_s - track.last_seen_s
            if similarities[index] >= threshold and is_near(
                track.landmarks_xy, landmarks_xy, gap_s
            ):
                del self._lost_tracks[index]
                return track.track_id
        return None
