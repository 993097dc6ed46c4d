"""Placement of labels that occlude neither faces nor each other."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


def place_label(
    face: Box, size_px: tuple[int, int], canvas_px: tuple[int, int], occupied: Sequence[Box]
) -> Box:
    """Choose the position of a label beside a face that overlaps `occupied` boxes the least.

    Ties are resolved in the order above, below, right, left of the face.

    Args:
        face: box of the face.
        size_px: width and height of the label.
        canvas_px: width and height of the image, which the label does not leave.
        occupied: boxes of faces and labels.

    Returns:
        The box of the label.
    """
    width, height = size_px
    x1, y1, x2, y2 = face
    corners = [
        (x1, y1 - height - 2),
        (x2 - width, y1 - height - 2),
        (x1, y2 + 2),
        (x2 - width, y2 + 2),
        (x2 + 2, y1),
        (x1 - width - 2, y1),
        (x2 + 2, y2 - height),
        (x1 - width - 2, y2 - height),
    ]
    candidates = []
    for left, top in corners:
        left = min(max(left, 0), max(canvas_px[0] - width, 0))
        top = min(max(top, 0), max(canvas_px[1] - height, 0))
        candidates.append((left, top, left + width, top + height))
    return min(candidates, key=lambda box: sum(overlap_px(box, other) for other in occupied))


def overlap_px(a: Box, b: Box) -> float:
    """Return the area in which two boxes overlap."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
