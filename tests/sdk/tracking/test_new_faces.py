"""Which detections become faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from faceaffect.tracking.new_faces import _turn
from faceaffect.tracking.track import is_same_face, overlap_of_smaller
from tests.sdk.tracking.test_tracker import ANN, BEN, Person, Video


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


@pytest.mark.parametrize(("quality", "ids"), [(0.03, []), (0.3, [1])])
def test_tracker_with_face_of_hopeless_quality_starts_no_track(
    quality: float, ids: list[int]
) -> None:
    video = Video()
    video.world.quality_logit = logit(quality)
    assert video.run([ANN], 3) == ids


@pytest.mark.parametrize(("scale", "ids"), [(0.3, []), (0.6, [1])])
def test_tracker_with_small_face_of_low_quality_starts_no_track(
    scale: float, ids: list[int]
) -> None:
    video = Video()
    video.world.quality_logit = logit(0.15)
    assert video.run([replace(ANN, scale=scale)], 3) == ids


def test_tracker_with_small_face_inside_large_one_returns_one_row() -> None:
    video = Video()
    inner = Person(ANN.x + 4, ANN.y + 20, who=1, scale=0.4)  # its overlap over union is 0.16
    infer = video.world.infer

    def infer_both(frame: object, maps: np.ndarray) -> object:
        outputs = infer(frame, maps)  # type: ignore[arg-type]
        near_inner = np.ptp(outputs.landmarks_xy[:, :, 0], axis=1) < 60
        quality = np.where(near_inner, logit(0.1), logit(0.6)).astype(np.float32)
        return replace(outputs, heads={"quality_logit": quality})

    video.tracker._run = video.tracker._new_faces._run = infer_both  # type: ignore[assignment]
    assert video.run([inner, ANN], 10) == [1]
    assert np.ptp(video.tracker.tracks[0].landmarks_xy[:, 0]) > 60


def test_overlap_of_smaller_with_nested_boxes_is_one() -> None:
    outer, inner, apart = (
        np.array(box, np.float32) for box in ((0, 0, 100, 100), (40, 40, 60, 60), (90, 0, 190, 100))
    )
    assert overlap_of_smaller(outer, inner) == overlap_of_smaller(inner, outer) == 1
    assert overlap_of_smaller(outer, apart) == pytest.approx(0.1)
    assert is_same_face(outer, inner)
    assert not is_same_face(outer, apart)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turn_of_crop_rotates_about_its_center(turns: int) -> None:
    crop = np.array([[[1.5, -0.5, 20], [0.5, 1.5, 40]]], np.float32)
    turned = _turn(crop, turns)
    center = np.array([55.5, 55.5, 1], np.float32)
    np.testing.assert_allclose(turned[0] @ center, crop[0] @ center, rtol=1e-5)
    angles = [np.degrees(np.arctan2(m[0, 1, 0], m[0, 0, 0])) for m in (crop, turned)]
    assert (angles[1] - angles[0]) % 360 == pytest.approx(90 * turns, abs=1e-3)


@pytest.mark.parametrize("step", [4, 8])
def test_tracker_with_people_who_cross_keeps_ids(step: int) -> None:
    """Ben passes in front of Ann, whose track must not follow him."""
    video = Video()
    ids: dict[str, list[int]] = {"ann": [], "ben": []}
    for index in range(480 // step):
        ann, ben = replace(ANN, x=80 + step * index), replace(BEN, y=ANN.y, x=560 - step * index)
        hidden = abs(ann.x - ben.x) < 60
        video.run([ben] if hidden else [ann, ben])
        for track in video.tracker.tracks:
            x = float(track.box_xyxy[0] + track.box_xyxy[2]) / 2
            who = "ben" if hidden or abs(x - ben.x) < abs(x - ann.x) else "ann"
            ids[who].append(track.track_id)
        assert len(video.tracker.tracks) <= (1 if hidden else 2)
    assert len(set(ids["ann"])) == len(set(ids["ben"])) == 1
    assert set(ids["ann"]) != set(ids["ben"])
