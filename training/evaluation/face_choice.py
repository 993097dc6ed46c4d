"""Which of several faces of a frame the labels speak of."""

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
    """Which of M face rows are used [K], for which position in `videos` [K], and the names that
    belong to no video.

    Rows have the `name` of their source, their `frame`, box [M, 4] and track. A video takes the
    largest box of each frame. Where labels of `X_left` or `X_right` exist, they take the
    leftmost or rightmost box of those frames of X that show two people or more, and X itself,
    beside one of them, takes the other side; a single face goes to the side on which its track
    was seen most often. Left and right are those of the image; `X_main` takes the largest box.
    """
    rows_of: dict[str, NDArray[np.int64]] = {
        str(n): np.flatnonzero(name == n) for n in np.unique(name)
    }
    used, positions, matched = [], [], set()
    for position, video in enumerate(videos):
        source = video if video in rows_of else without_position(video)
        rows = rows_of.get(source)
        if rows is None:
            continue
        matched.add(source)
        # Rows under the very name of a sided label are its own already: nobody has to be told
        # apart.
        side = _side(video, videos) if without_position(video) == source else ""
        if boxes_xyxy is not None:
            kept = (frame[rows], boxes_xyxy[rows])
            rows = rows[_on_side(side, *kept, track[rows]) if side else _largest(*kept)]
        used.append(rows)
        positions.append(np.full(len(rows), position, np.int64))
    strangers = sorted(rows_of.keys() - matched)
    return (
        np.concatenate([*used, np.zeros(0, np.int64)]),
        np.concatenate([*positions, np.zeros(0, np.int64)]),
        strangers,
    )


def _side(video: str, videos: tuple[str, ...]) -> str:
    """The side on which a label's person is, or nothing where it has no neighbor or its name gives
    no side.
    """
    if without_position(video) != video:
        return next((side for side in (LEFT, RIGHT) if video.endswith(side)), "")
    has_left, has_right = (video + side in videos for side in (LEFT, RIGHT))
    return "" if has_left == has_right else RIGHT if has_left else LEFT


def _largest(frame: NDArray[np.int64], boxes_xyxy: NDArray[np.float64]) -> NDArray[np.int64]:
    size = (boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1])
    return _last_of_each(frame, size)


def _last_of_each(frame: NDArray[np.int64], key: NDArray[np.float64]) -> NDArray[np.int64]:
    """The row with the highest key of each frame."""
    order = np.lexsort((key, frame))
    return np.asarray(order[np.append(np.diff(frame[order]) != 0, True)], np.int64)


def _on_side(
    side: str, frame: NDArray[np.int64], boxes_xyxy: NDArray[np.float64], track: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The rows that show the person of `side`."""
    center = boxes_xyxy[:, 0] + boxes_xyxy[:, 2]
    _, place, faces = np.unique(frame, return_inverse=True, return_counts=True)
    is_alone = faces[place] == 1
    ends = {LEFT: _last_of_each(frame, -center), RIGHT: _last_of_each(frame, center)}
    # Who stands where is known from the frames with company only.
    company = {name: end[~is_alone[end]] for name, end in ends.items()}
    code = np.unique(track, return_inverse=True)[1]
    seen = {name: np.bincount(code[end], minlength=len(track)) for name, end in company.items()}
    other = RIGHT if side == LEFT else LEFT
    belongs = (seen[side] > seen[other])[code]
    return np.concatenate([company[side], np.flatnonzero(is_alone & belongs)])
