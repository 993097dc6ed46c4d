"""Placement of labels."""

from __future__ import annotations

from faceaffect.drawing.label_placement import Box, overlap_px, place_label


def test_place_label_overlaps_neither_faces_nor_labels() -> None:
    faces: list[Box] = [(100, 100, 160, 160), (165, 105, 225, 165), (110, 30, 170, 90)]
    occupied = list(faces)
    for face in faces:
        occupied.append(place_label(face, (70, 20), (320, 240), occupied))
    for label in occupied[3:]:
        assert [
            other for other in occupied if other is not label and overlap_px(label, other) > 0
        ] == []
        assert min(label) >= 0
        assert label[2] <= 320
        assert label[3] <= 240
