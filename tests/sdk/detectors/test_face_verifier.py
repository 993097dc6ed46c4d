"""O-Net as a verifier, against the MTCNN cascade and on real faces."""

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


@pytest.mark.shared
def test_verifier_accepts_tilted_faces_and_rejects_background(shared: Path) -> None:
    image = np.asarray(cv2.imread(str(shared / "data/videos" / "pyfeat_multi_face.jpg")), np.uint8)
    keypoints = MTCNNDetector(40).detect(Frame(image)).keypoints_xy
    assert len(keypoints) == 5
    verifier = OnetVerifier()
    for angle in (0, 60):
        turn = cv2.getRotationMatrix2D((500, 333), angle, 0.8)
        turned = Frame(np.asarray(cv2.warpAffine(image, turn, (1000, 667)), np.uint8))
        points = (keypoints @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
        assert verifier.verify(turned, estimate_crop_to_frame(points)).all(), (
            f"faces turned by {angle} degrees"
        )
    # Upside down or a head's width off, the same pixels are no face.
    assert not verifier.verify(
        Frame(image), estimate_crop_to_frame(keypoints[:, [1, 0, 2, 4, 3]])
    ).any()
    beside = keypoints + np.array([0, 260], np.float32)
    assert not verifier.verify(Frame(image), estimate_crop_to_frame(beside)).any()


@pytest.mark.shared
def test_verifier_rejects_letters(shared: Path) -> None:
    capture = cv2.VideoCapture(str(shared / "data/videos" / "pyfeat_face_noface.mov"))
    detector = FastFaceDetector(40)
    verifier = OnetVerifier()
    count = 0
    for index in range(160):
        pixels = np.asarray(capture.read()[1], np.uint8)
        if index >= 90 and index % 8 == 0:  # the face is gone, a title of round letters has come
            detections = detector.detect(Frame(pixels))
            count += len(detections)
            assert not verifier.verify(
                Frame(pixels), estimate_crop_to_frame(detections.keypoints_xy)
            ).any()
    assert count, "the detector alone has false positives"


def test_verifier_without_crops_returns_empty() -> None:
    assert OnetVerifier().verify(
        Frame(np.zeros((48, 48, 3), np.uint8)), np.zeros((0, 2, 3), np.float32)
    ).shape == (0,)
