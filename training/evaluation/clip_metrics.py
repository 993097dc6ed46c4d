"""Sanity checks on real clips without labels: response to a smile and to a sad face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks, transform_points
from faceaffect.kernels.activations import softmax
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import FloatArray
from training.evaluation.bundle_runner import BundleRunner, face_probability
from training.labeling.label_faces import open_yunet

SMILE_CLIP: Final = "pyfeat_single_face_smile.mp4"
SAD_CLIP: Final = "pexels_wolfganglanger_sad_woman.mp4"
SAD_UNTIL_S: Final = 9.0


def clip_metrics(runner: BundleRunner, shared: Path) -> dict[str, Any]:
    """Measures both clips; YuNet detects the face, the landmarks of the network track it."""
    detector = open_yunet(shared)
    smile = track_face(runner, detector, shared / "data" / "videos" / SMILE_CLIP)
    sad = track_face(runner, detector, shared / "data" / "videos" / SAD_CLIP)
    crying = sad["time_s"] < SAD_UNTIL_S
    return {
        "smile": {
            "first 20 frames": _means(smile, slice(0, 20)),
            "last 20 frames": _means(smile, slice(-20, None)),
        },
        "sad": {
            f"before {SAD_UNTIL_S:g} s": _means(sad, crying),
            f"after {SAD_UNTIL_S:g} s": _means(sad, ~crying),
            "all frames": _means(sad, slice(None)),
        },
        "sad_fraction_of_frames": {
            f"before {SAD_UNTIL_S:g} s": _sadness_fractions(sad, crying, runner.spec.au_thresholds),
            "all frames": _sadness_fractions(sad, np.ones_like(crying), runner.spec.au_thresholds),
        },
    }


def track_face(runner: BundleRunner, detector: Any, clip: Path) -> dict[str, NDArray[Any]]:
    """Returns the outputs for the face of a clip by frame; NaN where no face is detected."""
    rows = []
    keypoints = None
    for time_s, bgr in _frames(clip):
        rgb = np.ascontiguousarray(bgr[:, :, ::-1])
        if keypoints is None:
            keypoints = _detect(detector, bgr)
        heads = None if keypoints is None else _predict(runner, rgb, keypoints)
        if heads is None or face_probability(heads)[0] < 0.35:
            keypoints = _detect(detector, bgr)
            heads = None if keypoints is None else _predict(runner, rgb, keypoints)
        if heads is None:
            rows.append(np.full(2 + len(EXPRESSION_NAMES) + len(AU_NAMES) + 3, np.nan))
            rows[-1][0] = time_s
            continue
        keypoints = keypoints_from_landmarks(heads["landmarks_xy"])[0]
        affect = runner.affect(heads)
        values = [
            affect.valence,
            affect.arousal,
            softmax(heads["expression_logit"])[0],
            affect.au_probability[0],
        ]
        rows.append(
            np.concatenate(
                [
                    [time_s],
                    *[np.ravel(v) for v in values],
                    face_probability(heads),
                    [lip_gap(heads["landmarks_xy"][0])],
                ]
            )
        )
    table = np.array(rows)
    names = ["time_s", "valence", "arousal", *EXPRESSION_NAMES, *AU_NAMES, "face", "lip_gap"]
    return dict(zip(names, table.T, strict=True))


def lip_gap(landmarks_xy: FloatArray) -> float:
    """Returns the mean distance of the inner lips of landmarks [68, 2] in interocular distances."""
    eyes = landmarks_xy[36:42].mean(axis=0) - landmarks_xy[42:48].mean(axis=0)
    gap = np.linalg.norm(landmarks_xy[61:64] - landmarks_xy[[67, 66, 65]], axis=1).mean()
    return float(gap / max(float(np.linalg.norm(eyes)), 1e-6))


def _predict(
    runner: BundleRunner, rgb: NDArray[np.uint8], keypoints: FloatArray
) -> dict[str, FloatArray]:
    transforms = estimate_crop_to_frame(keypoints[None])
    heads = runner.heads([runner.crop(rgb, transforms[0])])
    heads["landmarks_xy"] = transform_points(transforms, heads["landmarks_px"])
    return heads


def _detect(detector: Any, bgr: NDArray[np.uint8]) -> FloatArray | None:
    detector.setInputSize((bgr.shape[1], bgr.shape[0]))
    detections = detector.detect(bgr)[1]
    if detections is None:
        return None
    largest = max(detections, key=lambda row: row[2] * row[3])
    return np.asarray(largest[4:14].reshape(5, 2), np.float32)


def _frames(clip: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    video = cv2.VideoCapture(str(clip))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    index = 0
    while True:
        is_read, bgr = video.read()
        if not is_read:
            return
        yield index / rate, np.asarray(bgr, np.uint8)
        index += 1


def _means(values: dict[str, NDArray[Any]], rows: slice | NDArray[np.bool_]) -> dict[str, float]:
    names = ["valence", "arousal", "happiness", "sadness", "neutral"]
    names += ["AU4", "AU6", "AU12", "AU15", "AU25", "face"]
    return {name: round(float(np.nanmean(values[name][rows])), 3) for name in names}


def _sadness_fractions(
    values: dict[str, NDArray[Any]], rows: NDArray[np.bool_], thresholds: tuple[float, ...]
) -> dict[str, float]:
    """Returns the fraction of frames with AU1, AU4 or AU15 active, valence below -0.2, or both."""
    is_active = np.any(
        [values[name][rows] >= thresholds[AU_NAMES.index(name)] for name in ("AU1", "AU4", "AU15")],
        axis=0,
    )
    is_low = values["valence"][rows] < -0.2
    return {
        "AU1, AU4 or AU15": float(is_active.mean()),
        "valence": float(is_low.mean()),
        "both": float((is_active & is_low).mean()),
    }
