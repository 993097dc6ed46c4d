"""Follow faces from frame to frame: the network's own landmarks place the next crop, the detector
rests meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from faceaffect.detectors import Detections, Detector, FastDetector, look
from faceaffect.geometry import (
    FacePlacement,
    box_from_landmarks,
    estimate_crop_to_frame,
    is_plausible_motion,
    keypoints_from_landmarks,
    overlap,
    place_face,
)
from faceaffect.outputs.score_smoother import OneEuroFilter
from faceaffect.tracking.appearance import similarity
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock
from faceaffect.tracking.face_network import FaceOutputs, Reader
from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.types import FloatArray, Frame


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """When a face is kept, lost, found or taken for the same again. Times are seconds of the
    source's clock.
    """

    max_faces: int = 8
    min_face_size_px: int = 40
    smooth: bool = True
    baseline: bool = False
    keep_threshold: float = 0.35
    new_track_threshold: float = 0.5
    reject_threshold: float = 0.05  # of the first crops of a find
    # Portrait correlations. Measured: the same face one frame later 0.88 at least, two people below
    # 0.77 in 99.9 %.
    appearance_step_threshold: float = (
        0.75  # between two frames, below which a face is looked at twice
    )
    appearance_person_threshold: float = (
        0.8  # of the second, realigned look, below which it is somebody else
    )
    appearance_reid_threshold: float = 0.8  # with which a face found after a loss gets its old id
    # A cut makes another person likely. Measured: two people before one background 0.80, one person
    # 0.88 at least.
    appearance_after_cut_threshold: float = 0.85  # instead of the two above in the frame of a cut
    min_detect_interval_s: float = 0.3
    max_detect_interval_s: float = 1.2
    fast_detect_interval_s: float = 0.25  # instead of both, with a detector that is cheap
    full_resolution_interval_s: float = (
        1.2  # and that long it may look for large faces only, while somebody is held
    )
    max_idle_interval_s: float = 0.25  # between two looks while nobody is held
    lost_track_timeout_s: float = 2.0  # how long a lost face is remembered


@dataclass(slots=True)
class Track:
    """One face over time."""

    track_id: int
    landmarks_xy: FloatArray  # [68, 2], smoothed
    portrait: FloatArray  # [P] of the last frame
    seen_s: float
    age: int = 0  # frames held
    filter: OneEuroFilter = field(default_factory=OneEuroFilter)
    place: FloatArray = field(
        default_factory=lambda: np.zeros((2, 3), np.float32)
    )  # next frame's crop to frame
    box_xyxy: FloatArray = field(default_factory=lambda: np.zeros(4, np.float32))

    def move(
        self,
        landmarks_xy: FloatArray,
        own: FacePlacement,
        portrait: FloatArray,
        time_s: float,
        smooth: bool,
    ) -> None:
        """Take over what was read in a frame (`own` is the place of its landmarks), and place the
        next crop by it.
        """
        if smooth:
            landmarks_xy = self.filter.step(landmarks_xy, own.eyes_px, time_s - self.seen_s)
            own = place_face(landmarks_xy)
        self.landmarks_xy, self.portrait, self.seen_s = landmarks_xy, portrait, time_s
        self.place, self.box_xyxy = own.place, own.box_xyxy
        self.age += 1


class FaceTracker:
    """Holds the tracks of one source. `step` gives the reading of this frame's faces, row for row
    with `tracks`.
    """

    def __init__(self, detector: Detector, read: Reader, settings: TrackerConfig) -> None:
        self._detector = detector
        self._read = read
        self._settings = settings
        self._cheap = detector if isinstance(detector, FastDetector) else None
        is_cheap = self._cheap is not None
        self._first_plan = DetectionSchedule(
            every_s=settings.fast_detect_interval_s if is_cheap else settings.min_detect_interval_s,
            longest_every_s=settings.fast_detect_interval_s
            if is_cheap
            else settings.max_detect_interval_s,
            detail_every_s=settings.full_resolution_interval_s,
            max_idle_interval_s=settings.max_idle_interval_s,
        )
        self._next_id = 1
        self.reset()

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces, as for a new source; ids start at 1 again only with `track_ids`."""
        if track_ids:
            self._next_id = 1
        self.tracks: list[Track] = []
        self._resting: list[Track] = []
        self._glance = ShotChangeDetector()
        self._is_cut = False
        self._plan = self._first_plan
        self._clock = MonotonicClock()
        self._ahead: DetectionPrefetcher | None = None

    def set_next_track_id(self, track_id: int) -> None:
        """Give new tracks ids of at least `track_id`; ids never go back."""
        self._next_id = max(self._next_id, track_id)

    def look_ahead(self, detector: Detector) -> DetectionPrefetcher:
        """Where frames of the source that begins now may be looked at beforehand, by a detector
        that finds the same.
        """
        self._ahead = DetectionPrefetcher(detector, self._plan)
        return self._ahead

    def step(self, frame: Frame) -> FaceOutputs:
        """Follow the held faces into `frame`, look for others when it is time, and read them all."""
        frame = self._in_time(frame)
        now = frame.time_s
        self._is_cut = cut = self._glance.is_cut(frame)
        held, reading = self._follow(frame, suspicious=cut)
        lost = len(held) < len(self.tracks)
        self.tracks = held
        self._resting = [
            track
            for track in self._resting
            if now - track.seen_s <= self._settings.lost_track_timeout_s
        ]
        if cut or lost or self._plan.is_due(now):
            reading = self._look(frame, reading, in_detail=cut or lost or self._plan.in_detail(now))
        return reading

    def _in_time(self, frame: Frame) -> Frame:
        """The frame at a later time than the last: a clock that stands still or is set back counts
        on by one frame.
        """
        if (
            self._clock.shown(frame.time_s) < self._plan.looked_s
        ):  # so far back that it is a new run of the same source
            self._plan = replace(self._plan, looked_s=-np.inf, detailed_s=-np.inf)
        now = self._clock.read(frame.time_s)
        return frame if now == frame.time_s else replace(frame, time_s=now)

    def _follow(self, frame: Frame, suspicious: bool) -> tuple[list[Track], FaceOutputs]:
        """Held tracks that are still there, and their rows; the others go to rest."""
        tracks = self.tracks
        places = np.array([track.place for track in tracks], np.float32).reshape(-1, 2, 3)
        reading = self._read(frame, places)
        kept: list[int] = []
        for row, track in enumerate(tracks):
            own = place_face(reading.landmarks_xy[row])
            if self._is_still_there(frame, reading, row, own, suspicious):
                track.move(
                    reading.landmarks_xy[row],
                    own,
                    reading.portraits[row],
                    frame.time_s,
                    self._settings.smooth,
                )
                kept.append(row)
            else:
                self._resting.append(track)
        kept = self._without_doubles(kept, tracks)
        if len(kept) < len(tracks):
            reading = reading.pick(kept)
        return [tracks[row] for row in kept], reading

    def _is_still_there(
        self, frame: Frame, reading: FaceOutputs, row: int, own: FacePlacement, suspicious: bool
    ) -> bool:
        """Whether the crop of track `row` shows a face, and the face of the same person."""
        track, settings = self.tracks[row], self._settings
        if reading.score[row] < settings.keep_threshold or not _is_plausible(
            frame, own, reading.maps[row]
        ):
            return False
        if (
            not suspicious
            and similarity(track.portrait, reading.portraits[row])
            >= settings.appearance_step_threshold
        ):
            return True
        again = self._read(frame, own.place[None])
        appearance_person_threshold = (
            settings.appearance_after_cut_threshold
            if suspicious
            else settings.appearance_person_threshold
        )
        is_face = again.score[0] >= settings.keep_threshold
        return bool(
            is_face
            and similarity(track.portrait, again.portraits[0]) >= appearance_person_threshold
        )

    def _without_doubles(self, kept: list[int], tracks: list[Track]) -> list[int]:
        """Of two tracks that have run onto one face, the one held longer stays."""
        if len(kept) < 2:
            return kept
        boxes = [tracks[row].box_xyxy for row in kept]
        ranked = sorted(range(len(kept)), key=lambda i: -tracks[kept[i]].age)
        good: list[int] = []
        for i in ranked:
            if all(overlap(boxes[i], boxes[j]) < 0.5 for j in good):
                good.append(i)
        return [kept[i] for i in sorted(good)]

    def _look(self, frame: Frame, reading: FaceOutputs, in_detail: bool) -> FaceOutputs:
        """Run the detector; faces that are not held yet become tracks, old ones where they are
        recognized.
        """
        settings = self._settings
        found = self._find(frame, in_detail)
        fresh = self._not_held(found)[: settings.max_faces - len(self.tracks)]
        before = len(self.tracks)
        if fresh:
            places = estimate_crop_to_frame(found.keypoints_xy[fresh])
            # The detector's points are coarse: the network's own landmarks place the crop that
            # counts.
            for _ in range(2):
                coarse = self._read(frame, places)
                # What the network takes for no face at all is not looked at again: a cheap detector
                # errs more often.
                maybe = coarse.landmarks_xy[coarse.score >= settings.reject_threshold]
                places = estimate_crop_to_frame(keypoints_from_landmarks(maybe))
            placed = self._read(frame, places)
            good = [row for row in range(len(places)) if self._is_face(frame, placed, row)]
            good = self._confirmed(frame, self._new_only(good, placed), placed)
            for row in good:
                self.tracks.append(
                    self._begin(placed.landmarks_xy[row], placed.portraits[row], frame.time_s)
                )
            if good:
                reading = reading.join(placed.pick(good))
        self._plan_next(frame.time_s, in_detail, changed=len(self.tracks) > before)
        return reading

    def _find(self, frame: Frame, in_detail: bool) -> Detections:
        found = None if self._ahead is None else self._ahead.take(frame, in_detail)
        return look(self._detector, frame, in_detail) if found is None else found

    def _plan_next(self, now: float, in_detail: bool, changed: bool) -> None:
        """Plan from a look at `now` on, which found somebody new where it `changed` anything."""
        held, plan = len(self.tracks), self._plan.after(now, in_detail)
        self._plan = replace(
            plan,
            every_s=self._first_plan.every_s if changed or self._resting else plan.every_s,
            idle_looks=0 if held else self._plan.idle_looks + 1,
            is_held=held > 0,
            has_room=held < self._settings.max_faces,
        )
        if self._ahead is not None:
            self._ahead.correct(self._plan)

    def _not_held(self, found: Detections) -> list[int]:
        """Detections that are no held face."""
        if not self.tracks:
            return list(range(len(found)))
        held = np.stack([track.box_xyxy for track in self.tracks])
        centers = found.keypoints_xy.mean(axis=1)
        inside = (centers[:, None] >= held[None, :, :2]) & (centers[:, None] <= held[None, :, 2:])
        return [int(i) for i in np.flatnonzero(~inside.all(axis=2).any(axis=1))]

    def _is_face(self, frame: Frame, reading: FaceOutputs, row: int) -> bool:
        landmarks = reading.landmarks_xy[row]
        tall_enough = np.ptp(landmarks[:, 1]) >= 0.6 * self._settings.min_face_size_px
        good_score = reading.score[row] >= self._settings.new_track_threshold
        return bool(
            good_score
            and tall_enough
            and _is_plausible(frame, place_face(landmarks), reading.maps[row])
        )

    def _new_only(self, rows: list[int], reading: FaceOutputs) -> list[int]:
        """Rows whose face is neither held nor that of an earlier row."""
        boxes = [track.box_xyxy for track in self.tracks]
        good = []
        for row in rows:
            box = box_from_landmarks(reading.landmarks_xy[row : row + 1])[0]
            if all(overlap(box, other) < 0.5 for other in boxes):
                boxes.append(box)
                good.append(row)
        return good

    def _confirmed(self, frame: Frame, rows: list[int], reading: FaceOutputs) -> list[int]:
        """Rows that a cheap detector confirms where the network's landmarks place them; all rows of
        a dear one.
        """
        if self._cheap is None or not rows:
            return rows
        places = estimate_crop_to_frame(keypoints_from_landmarks(reading.landmarks_xy[rows]))
        return [
            row
            for row, good in zip(rows, self._cheap.confirms(frame, places).tolist(), strict=True)
            if good
        ]

    def _begin(self, landmarks_xy: FloatArray, portrait: FloatArray, time_s: float) -> Track:
        """A track for a found face: a resting one that it surely is, else a new one with a new id."""
        track_id = None
        appearance_reid_threshold = (
            self._settings.appearance_after_cut_threshold
            if self._is_cut
            else self._settings.appearance_reid_threshold
        )
        for resting in sorted(
            self._resting, key=lambda track: -similarity(track.portrait, portrait)
        ):
            alike = similarity(resting.portrait, portrait) >= appearance_reid_threshold
            if alike and _is_near(resting.landmarks_xy, landmarks_xy, time_s - resting.seen_s):
                track_id = resting.track_id
                self._resting.remove(resting)
                break
        if track_id is None:
            track_id, self._next_id = self._next_id, self._next_id + 1
        track = Track(track_id, landmarks_xy, portrait, time_s)
        track.move(landmarks_xy, place_face(landmarks_xy), portrait, time_s, self._settings.smooth)
        return track


def _is_plausible(frame: Frame, own: FacePlacement, place: FloatArray) -> bool:
    """Whether landmarks could be a face: numbers, inside the frame, and of about the size of the
    crop they came from.
    """
    return own.is_finite and is_plausible_motion(own.place, place, frame.width_px, frame.height_px)


def _is_near(before_xy: FloatArray, now_xy: FloatArray, gap_s: float) -> bool:
    """Whether a face could have gone from one place to the other in `gap_s`: up to two of its
    heights a second.
    """
    height = np.ptp(before_xy[:, 1])
    return bool(
        np.hypot(*(now_xy.mean(axis=0) - before_xy.mean(axis=0)))
        <= height * (0.7 + 2.0 * max(gap_s, 0.0))
    )
