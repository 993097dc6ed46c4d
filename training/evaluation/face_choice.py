"""Matches faces of multi-person videos to the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.datasets.affwild2_layout import LEFT, RIGHT, without_position


def choose_faces(
    videos: tuple[str, ...],
    name: NDArray[np.str_],
    frame: NDArray[np.int64],
    boxes_xyxy: NDArray[np.float64] | None,
    track: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Selects the face of each labeled video in each frame.

    A video uses the largest box of each frame. Labels `X_left` and `X_right` use the leftmost or
    rightmost box in frames of X with two or more people, and X itself, if only one of them exists,
    uses the other side; a single face is assigned to the side on which its track occurs most
    often. Left and right are those of the image; `X_main` uses the largest box.

    Args:
        videos: Names of the labeled videos.
        name: Source name [M] of each row.
        frame: Frame number [M].
        boxes_xyxy: Face boxes [M, 4], or None.
        track: Track id [M].

    Returns:
        Selected rows [K], the index into `videos` [K] of each, and source names without labels.
    """
    rows_of: dict[str, NDArray[np.int64]] = {
        str(n): np.flatnonzero(name == n) for n in np.unique(name)
    }
    used = []
    positions = []
    matched = set()
    for position, video in enumerate(videos):
        source = video if video in rows_of else without_position(video)
        rows = rows_of.get(source)
        if rows is None:
            continue
        matched.add(source)
        # Rows whose name is the label itself already show one person only.
        side = _side(video, videos) if without_position(video) == source else ""
        if boxes_xyxy is not None:
            kept = (frame[rows], boxes_xyxy[rows])
            rows = rows[_on_side(side, *kept, track[rows]) if side else _largest(*kept)]
        used.append(rows)
        positions.append(np.full(len(rows), position, np.int64))
    unmatched = sorted(rows_of.keys() - matched)
    return (
        np.concatenate([*used, np.zeros(0, np.int64)]),
        np.concatenate([*positions, np.zeros(0, np.int64)]),
        unmatched,
    )


def _side(video: str, videos: tuple[str, ...]) -> str:
    """Returns the side of a label's person, or "" if there is no second person or no side."""
    if without_position(video) != video:
        return next((side for side in (LEFT, RIGHT) if video.endswith(side)), "")
    has_left, has_right = (video + side in videos for side in (LEFT, RIGHT))
    return "" if has_left == has_right else RIGHT if has_left else LEFT


def _largest(frame: NDArray[np.int64], boxes_xyxy: NDArray[np.float64]) -> NDArray[np.int64]:
    size = (boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1])
    return _last_of_each(frame, size)


def _last_of_each(frame: NDArray[np.int64], key: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the row with the highest key of each frame."""
    order = np.lexsort((key, frame))
    return np.asarray(order[np.append(np.diff(frame[order]) != 0, True)], np.int64)


def _on_side(
    side: str, frame: NDArray[np.int64], boxes_xyxy: NDArray[np.float64], track: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Returns the rows of the person on `side`."""
    center = boxes_xyxy[:, 0] + boxes_xyxy[:, 2]
    _, inverse, faces = np.unique(frame, return_inverse=True, return_counts=True)
    is_alone = faces[inverse] == 1
    ends = {LEFT: _last_of_each(frame, -center), RIGHT: _last_of_each(frame, center)}
    # The side of a track is known only from frames with several people.
    several = {name: end[~is_alone[end]] for name, end in ends.items()}
    code = np.unique(track, return_inverse=True)[1]
    counts = {name: np.bincount(code[end], minlength=len(track)) for name, end in several.items()}
    other = RIGHT if side == LEFT else LEFT
    belongs = (counts[side] > counts[other])[code]
    return np.concatenate([several[side], np.flatnonzero(is_alone & belongs)])
