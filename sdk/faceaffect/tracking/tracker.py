"""Face tracker: between detector runs the network's landmarks place the crop of the next frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from faceaffect.detectors.detector import BackgroundDetector, Detections, Detector
from faceaffect.detectors.turned_detector import turned_detectors
from faceaffect.geometry import FacePlacement, place_face
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.appearance import cosine_similarity
from faceaffect.tracking.background_detection import BackgroundDetection, QueuedDetection
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock
from faceaffect.tracking.face_network import FaceOutputs, RunFaceNetwork
from faceaffect.tracking.new_faces import NewFaces, is_plausible
from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.tracking.track import SAME_FACE_OVERLAP, Track, is_beside, overlap_of_smaller
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import FloatArray, Frame

_TOUCHING_OVERLAP: Final = 0.1
_STRANGER_SIMILARITY: Final = -0.1
"""Similarity of appearance that two people have; half of a face and the whole may have no more."""
_NEXT_FRAME_S: Final = 0.1
"""Time within which a face that was lost and one that is found are most likely the same."""
_BRIEFLY_HIDDEN_S: Final = 1.5
"""Time within which the one who comes out beside a face is most likely the one lost there."""


class FaceTracker:
    """Tracks the faces of one source; `tracks` are those of the last frame."""

    def __init__(
        self,
        detector: Detector,
        run: RunFaceNetwork,
        config: TrackerConfig,
        timer: StageTimer | None = None,
    ) -> None:
        self._detector = detector
        self._turned = turned_detectors(detector) if config.tries_turned else []
        self._run = run
        self._config = config
        self._timer = timer or StageTimer()
        self._new_faces = NewFaces(detector, run, config, self._timer)
        fast = detector.is_fast
        self._initial_schedule = DetectionSchedule(
            config.fast_detect_interval_s if fast else config.min_detect_interval_s,
            config.fast_detect_interval_s if fast else config.max_detect_interval_s,
            full_resolution_interval_s=config.full_resolution_interval_s,
            max_idle_interval_s=config.max_idle_interval_s,
        )
        self._next_id = 1
        self._background: BackgroundDetection | QueuedDetection | None = None
        self.reset()

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces, as for a new source; ids start at 1 again only with `track_ids`."""
        if track_ids:
            self._next_id = 1
        self.tracks: list[Track] = []
        self._lost_tracks: list[Track] = []
        self._size_px: tuple[int, int] | None = None
        self._shot_detector = ShotChangeDetector()
        self._is_cut = False
        self._schedule = self._initial_schedule
        self._clock = MonotonicClock()
        self._prefetcher: DetectionPrefetcher | None = None
        if self._background is not None:
            self._background.close()
        self._background = None
        if isinstance(self._detector, BackgroundDetector):
            self._background = QueuedDetection(self._detector)
        self._is_detection_urgent = False

    def set_next_track_id(self, track_id: int) -> None:
        """Give new tracks ids of at least `track_id`; ids never go back."""
        self._next_id = max(self._next_id, track_id)

    def create_prefetcher(self, detector: Detector) -> DetectionPrefetcher:
        """Take detections from a prefetcher over a clone of the detector, until `reset`."""
        self._prefetcher = DetectionPrefetcher(detector, self._schedule)
        return self._prefetcher

    def detect_in_background(self) -> None:
        """Run the detector beside the frames, until `reset`; not all runs give the same rows then.

        Detections enter in the first frame after the run, mostly the next one. A detector that
        needs no thread runs beside the frames in any case.
        """
        if self._background is None:
            self._background = BackgroundDetection()

    def update(self, frame: Frame) -> FaceOutputs:
        """Track the faces into `frame`, and detect new ones when the schedule says so.

        Returns:
            Outputs of the network, row for row with `tracks`.
        """
        frame = self._with_monotonic_time(frame)
        now_s = frame.time_s
        self._is_cut = cut = self._shot_detector.update(frame)
        has_new_size = self._follow_size(frame)
        tracked, outputs = self._update_tracks(frame)
        lost = has_new_size or len(tracked) < len(self.tracks)
        self.tracks = tracked
        self._lost_tracks = [
            track
            for track in self._lost_tracks
            if now_s - track.last_seen_s <= self._config.lost_track_timeout_s
        ]
        if self._runs_in_background(frame):
            return self._detect_in_background(frame, outputs, is_urgent=cut or lost)
        if cut or lost or self._schedule.should_detect(now_s):
            full_resolution = cut or lost or self._schedule.full_resolution(now_s)
            outputs = self._detect_new_faces(frame, outputs, full_resolution)
        return outputs

    def _follow_size(self, frame: Frame) -> bool:
        """Look for all faces anew, at their share of the image, if the size of frames changes.

        Returns:
            Whether it changed.
        """
        before, self._size_px = self._size_px, (frame.width_px, frame.height_px)
        if before is None or before == self._size_px:
            return False
        self._lost_tracks += self.tracks
        self.tracks = []
        for track in self._lost_tracks:
            track.rescale(frame.width_px / before[0], frame.height_px / before[1])
        return True

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
        placements = [place_face(outputs.landmarks_xy[row]) for row in range(len(tracks))]
        rows = [
            row
            for row, placement in enumerate(placements)
            if self._continues(frame, outputs, row, placement)
        ]
        overlapping: set[int] = set()
        if len(rows) > 1:
            rows, overlapping = self._separate(rows, outputs, placements)
        for row in rows:
            tracks[row].update(
                outputs,
                row,
                placements[row],
                frame.time_s,
                smooth=self._config.smooth,
                is_alone=row not in overlapping,
            )
        if len(rows) < len(tracks):
            kept = [tracks[row] for row in rows]
            for track in (track for row, track in enumerate(tracks) if row not in rows):
                track.was_hidden = any(is_beside(track.box_xyxy, t.box_xyxy) for t in kept)
                self._lost_tracks.append(track)
            outputs = outputs.select(rows)
        return [tracks[row] for row in rows], outputs

    def _separate(
        self, rows: list[int], outputs: FaceOutputs, placements: list[FacePlacement]
    ) -> tuple[list[int], set[int]]:
        """Where faces overlap, drop the tracks that sit on the face of another track.

        Returns:
            The rows that are kept, and those that overlap another one.
        """
        overlapping: set[int] = set()
        dropped: set[int] = set()
        for index, first in enumerate(rows):
            for second in rows[index + 1 :]:
                boxes = placements[first].box_xyxy, placements[second].box_xyxy
                if first in dropped or second in dropped or not is_beside(*boxes):
                    continue
                overlapping |= {first, second}
                overlap = overlap_of_smaller(*boxes)
                if overlap < _TOUCHING_OVERLAP:
                    continue
                margins = {
                    row: self._margin(outputs, row, other)
                    for row, other in ((first, second), (second, first))
                }
                worse = min(margins, key=lambda row: (margins[row], -row))
                # Two tracks on one face: the better one stays. Else each must be itself.
                if overlap >= SAME_FACE_OVERLAP or margins[worse] < 0:
                    dropped.add(worse)
        return [row for row in rows if row not in dropped], overlapping

    def _margin(self, outputs: FaceOutputs, row: int, other: int) -> float:
        """How much more the face of track `row` resembles that track than track `other`."""
        appearance = outputs.appearance[row]
        own, others = self.tracks[row].reference, self.tracks[other].reference
        return cosine_similarity(own, appearance) - cosine_similarity(others, appearance)

    def _continues(
        self, frame: Frame, outputs: FaceOutputs, row: int, placement: FacePlacement
    ) -> bool:
        """Whether the crop of track `row` shows a face, and that of the same person."""
        track = self.tracks[row]
        config = self._config
        if outputs.face_score[row] < config.keep_threshold:
            return False
        if not is_plausible(frame, placement, outputs.crop_to_frame[row]):
            return False
        if not self._is_cut:
            similarity = cosine_similarity(track.appearance, outputs.appearance[row])
            if similarity >= config.appearance_step_threshold:
                return True
        realigned = self._run(frame, placement.crop_to_frame[None])
        if realigned.face_score[0] < config.keep_threshold:
            return False
        similarity = cosine_similarity(track.appearance, realigned.appearance[0])
        if self._is_cut:
            return similarity >= config.appearance_after_cut_threshold
        return similarity >= config.appearance_person_threshold or (
            similarity >= config.appearance_turned_threshold
            and track.may_have_turned_to(realigned, 0, placement.box_xyxy, frame.time_s)
        )

    def _detect_new_faces(
        self, frame: Frame, outputs: FaceOutputs, full_resolution: bool
    ) -> FaceOutputs:
        """Run the detector; faces that are not tracked yet start or resume a track."""
        count_before = len(self.tracks)
        outputs = self._add_faces(frame, outputs, self._detect(frame, full_resolution))
        if self._turned and not self.tracks:
            outputs = self._detect_turned_faces(frame, outputs)
        has_new_tracks = len(self.tracks) > count_before
        self._reschedule(frame.time_s, full_resolution, has_new_tracks)
        return outputs

    def _runs_in_background(self, frame: Frame) -> bool:
        if isinstance(self._background, QueuedDetection):
            return self._schedule.has_run  # the first frame may be the only one
        return self._background is not None and isinstance(frame, Frame)

    def _detect_in_background(
        self, frame: Frame, outputs: FaceOutputs, is_urgent: bool
    ) -> FaceOutputs:
        """Take the detections of a finished run, and start the next one when it is due."""
        background, schedule = self._background, self._schedule
        assert background is not None
        self._is_detection_urgent |= is_urgent
        if self._is_cut:
            background.discard()
        count_before = len(self.tracks)
        with self._timer.stage("detect"):
            finished = background.poll()
        for detections in finished or ():
            if len(self.tracks) > count_before:
                break
            outputs = self._add_faces(frame, outputs, detections)
        if isinstance(background, QueuedDetection) and finished and not self.tracks:
            outputs = self._detect_turned_faces(frame, outputs)
        now_s = frame.time_s
        if not background.is_busy and (self._is_detection_urgent or schedule.should_detect(now_s)):
            full_resolution = self._is_detection_urgent or schedule.full_resolution(now_s)
            turned = [] if self.tracks else self._turned_of_run()
            with self._timer.stage("detect"):
                background.submit(frame, [self._detector, *turned], full_resolution)
            self._is_detection_urgent = False
            self._reschedule(now_s, full_resolution, has_new_tracks=False)
        if len(self.tracks) > count_before:
            self._schedule = replace(
                self._schedule,
                interval_s=self._initial_schedule.interval_s,
                idle_runs=0,
                has_tracks=True,
                has_room=len(self.tracks) < self._config.max_faces,
            )
        return outputs

    def _add_faces(self, frame: Frame, outputs: FaceOutputs, detections: Detections) -> FaceOutputs:
        boxes = [track.box_xyxy for track in self.tracks]
        room = self._config.max_faces - len(boxes)
        new = self._new_faces.find(frame, detections, boxes, room)
        if new is None:
            return outputs
        for row in range(len(new.face_score)):
            self.tracks.append(self._start_track(new, row, frame.time_s))
        return outputs.concat(new)

    def _detect_turned_faces(self, frame: Frame, outputs: FaceOutputs) -> FaceOutputs:
        """Look for sideways faces: in all directions at first, then in one a run."""
        for turned in self._turned_of_run():
            with self._timer.stage("detect"):
                detections = turned.detect(frame)
            outputs = self._add_faces(frame, outputs, detections)
            if self.tracks:
                break
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

    def _turned_of_run(self) -> list[Detector]:
        """Detectors for sideways faces: all in the first run without a face, then one a run."""
        runs = self._schedule.idle_runs
        if runs == 0 or not self._turned:
            return self._turned
        return [self._turned[runs % len(self._turned)]]

    def _start_track(self, outputs: FaceOutputs, row: int, time_s: float) -> Track:
        """A track for a new face: a lost one that it certainly is, else one with a new id."""
        placement = place_face(outputs.landmarks_xy[row])
        lost = self._resume_lost_track(outputs, row, placement, time_s)
        if lost is None:
            track_id, self._next_id = self._next_id, self._next_id + 1
        else:
            track_id = lost.track_id
        track = Track(track_id, outputs.landmarks_xy[row], outputs.appearance[row], time_s)
        if lost is not None:
            track.resume(lost)
        is_alone = not any(is_beside(placement.box_xyxy, other.box_xyxy) for other in self.tracks)
        track.update(outputs, row, placement, time_s, smooth=self._config.smooth, is_alone=is_alone)
        return track

    def _resume_lost_track(
        self, outputs: FaceOutputs, row: int, placement: FacePlacement, time_s: float
    ) -> Track | None:
        """The most similar lost track nearby, which is no longer lost."""
        config = self._config
        box = placement.box_xyxy
        threshold = config.appearance_after_cut_threshold
        appearance = outputs.appearance[row]
        ranked = [(track.similarity(appearance), track) for track in self._lost_tracks]
        for similarity, track in sorted(ranked, key=lambda pair: -pair[0]):
            if not self._is_cut:
                threshold = self._resume_threshold(track, outputs, row, box, time_s)
            if similarity >= threshold and track.could_be_at(box, time_s):
                self._lost_tracks.remove(track)
                return track
        return None

    def _resume_threshold(
        self, lost: Track, outputs: FaceOutputs, row: int, box_xyxy: FloatArray, time_s: float
    ) -> float:
        """Similarity from which the new face at `box_xyxy` is the one of a lost track."""
        config = self._config
        gap_s = time_s - lost.last_seen_s
        thresholds = [config.appearance_reid_threshold]
        if lost.was_hidden:
            is_brief = gap_s <= _BRIEFLY_HIDDEN_S
            thresholds.append(
                _STRANGER_SIMILARITY if is_brief else config.appearance_hidden_threshold
            )
        is_next = gap_s <= _NEXT_FRAME_S
        if lost.may_have_turned_to(outputs, row, box_xyxy, time_s):
            thresholds.append(
                _STRANGER_SIMILARITY if is_next else config.appearance_turned_threshold
            )
        elif is_next and lost.is_near(box_xyxy):
            thresholds.append(config.appearance_next_frame_threshold)
        return min(thresholds)
