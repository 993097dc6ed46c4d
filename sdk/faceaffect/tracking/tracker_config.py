"""Thresholds and intervals of the tracker, and the range of the options of pipelines."""

from __future__ import annotations

from dataclasses import dataclass

from faceaffect.detectors.names import AUTO_ROTATION, ROTATIONS


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Thresholds and intervals of the tracker. Times are seconds of the source's clock."""

    max_faces: int = 8
    min_face_size_px: int = 24
    smooth: bool = True  # whether landmarks are smoothed
    tries_turned: bool = False  # whether sideways faces are looked for where no upright one is

    # Face scores.
    keep_threshold: float = 0.35
    new_track_threshold: float = 0.5
    reject_threshold: float = 0.05  # below which a detection is dropped after the first crop
    # Quality of a new face. Measured: animals, hair, and detections inside of a face have less than
    # 0.1; faces at a yaw of 60 degrees or half covered have 0.2 on average.
    min_new_quality: float = 0.1
    # The same for faces of less than 40 px, where hair and foliage have up to 0.15 and faces seen
    # from the front 0.45 and more.
    min_new_quality_small: float = 0.2

    # Similarities of appearance. Measured: one face in consecutive frames has at least 0.88, two
    # people have less than 0.77 in 99.9 % of the pairs.
    appearance_step_threshold: float = 0.75  # below which a tracked face is realigned
    appearance_person_threshold: float = 0.8  # below which the realigned face is somebody else
    appearance_reid_threshold: float = 0.8  # from which a new face gets the id of a lost track
    # Replaces the two above in the first frame of a shot, where another person is likely. Measured:
    # two people in front of one background have 0.80, one person has at least 0.88.
    appearance_after_cut_threshold: float = 0.85
    # Replaces both where the head has turned at its place and there was no cut.
    appearance_turned_threshold: float = 0.45
    # Replaces it where a face is found at once, at the place where it was lost in this frame.
    appearance_next_frame_threshold: float = 0.5
    # Replaces it for a track that was lost behind another face: who comes out there is most likely
    # the one who went in, half covered.
    appearance_hidden_threshold: float = 0.3

    # Detector runs.
    min_detect_interval_s: float = 0.3
    max_detect_interval_s: float = 1.2
    fast_detect_interval_s: float = 0.25  # replaces both with a fast detector
    # Largest interval between runs at full resolution of a fast detector while a face is tracked.
    full_resolution_interval_s: float = 1.2
    max_idle_interval_s: float = 0.25  # while no face is tracked
    lost_track_timeout_s: float = 2.0  # how long a lost track can be resumed


def check_limits(
    max_faces: int, min_face_size_px: int, threads: int, rotate: str, min_quality: float
) -> None:
    """Raise ValueError if an option is out of range."""
    if max_faces < 1 or min_face_size_px < 12 or threads < 1:
        raise ValueError(
            "expected max_faces >= 1, min_face_size_px >= 12, threads >= 1, "
            f"got {max_faces}, {min_face_size_px}, {threads}"
        )
    if rotate not in (AUTO_ROTATION, *ROTATIONS):
        raise ValueError(f"expected rotate to be auto, {', '.join(ROTATIONS)}, got {rotate!r}")
    if not 0 <= min_quality <= 1:
        raise ValueError(f"expected 0 <= min_quality <= 1, got {min_quality}")
