"""Where labels go, so that they cover neither faces nor each other."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


def place_label(
    face: Box, size_px: tuple[int, int], canvas_px: tuple[int, int], taken: Sequence[Box]
) -> Box:
    """The place for a label of `size_px` (width, height) around `face` that covers least of what is
    `taken`.

    Equal places are taken in this order: above, below, right, left of the face.
    """
    width, height = size_px
    x1, y1, x2, y2 = face
    corners = [
        (x1, y1 - height - 2),
        (x2 - width, y1 - height - 2),
        (x1, y2 + 2),
        (x2 - width, y2 + 2),
    ]
    corners += [
        (x2 + 2, y1),
        (x1 - width - 2, y1),
        (x2 + 2, y2 - height),
        (x1 - width - 2, y2 - height),
    ]
    places = []
    for left, top in corners:
        left = min(max(left, 0), max(canvas_px[0] - width, 0))
        top = min(max(top, 0), max(canvas_px[1] - height, 0))
        places.append((left, top, left + width, top + height))
    return min(places, key=lambda place: sum(_overlap_px(place, other) for other in taken))


def _overlap_px(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
