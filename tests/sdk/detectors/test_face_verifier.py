"""The second opinion against the whole cascade, whose third stage it is, and on real faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.detectors.face_verifier import OnetVerifier
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.detectors.mtcnn import MTCNNDetector
from faceaffect.geometry import estimate_crop_to_frame
from faceaffect.types import Frame

VIDEOS = Path(__file__).resolve().parents[4] / "shared/data/videos"
pytestmark = pytest.mark.shared


def test_it_believes_in_faces_however_tilted_and_in_nothing_beside_them() -> None:
    image = np.asarray(cv2.imread(str(VIDEOS / "pyfeat_multi_face.jpg")), np.uint8)
    anchors = MTCNNDetector(40).detect(Frame(image)).keypoints_xy
    assert len(anchors) == 5
    opinion = OnetVerifier()
    for angle in (0, 60):
        turn = cv2.getRotationMatrix2D((500, 333), angle, 0.8)
        turned = Frame(np.asarray(cv2.warpAffine(image, turn, (1000, 667)), np.uint8))
        points = (anchors @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
        assert opinion.verify(turned, estimate_crop_to_frame(points)).all(), (
            f"faces turned by {angle} degrees"
        )
    # Upside down or a head's width off, the same pixels are no face.
    assert not opinion.verify(
        Frame(image), estimate_crop_to_frame(anchors[:, [1, 0, 2, 4, 3]])
    ).any()
    beside = anchors + np.array([0, 260], np.float32)
    assert not opinion.verify(Frame(image), estimate_crop_to_frame(beside)).any()


def test_it_does_not_take_letters_for_a_face() -> None:
    capture, detector, opinion = (
        cv2.VideoCapture(str(VIDEOS / "pyfeat_face_noface.mov")),
        FastFaceDetector(40),
        OnetVerifier(),
    )
    finds = 0
    for index in range(160):
        pixels = np.asarray(capture.read()[1], np.uint8)
        if index >= 90 and index % 8 == 0:  # the face is gone, a title of round letters has come
            found = detector.detect(Frame(pixels))
            finds += len(found)
            assert not opinion.verify(
                Frame(pixels), estimate_crop_to_frame(found.keypoints_xy)
            ).any()
    assert finds, "the detector alone takes some of the letters for faces"


def test_nobody_is_no_question_to_the_network() -> None:
    assert OnetVerifier().verify(
        Frame(np.zeros((48, 48, 3), np.uint8)), np.zeros((0, 2, 3), np.float32)
    ).shape == (0,)
