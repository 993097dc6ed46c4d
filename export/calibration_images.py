"""Aligned, normalized crops to calibrate and judge with: faces in the user's images, or rendered
ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.progress import track

from faceaffect import kernels
from faceaffect.bundle.model_spec import CropSpec
from faceaffect.detectors.mtcnn import MTCNNDetector
from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks, rescale_transforms
from faceaffect.sources.open_source import open_source
from faceaffect.types import FloatArray, Frame, PixelFormat

_SMALLEST_FACE_PX = 40


def faces_in_images(source: str, crop: CropSpec, most: int) -> FloatArray:
    """Crops [N, 3, S, S] of all faces that the detector finds in a folder, pattern or video, at
    most `most`.
    """
    detector, found = MTCNNDetector(_SMALLEST_FACE_PX), list[FloatArray]()
    with open_source(source) as frames:
        for frame in track(frames, "finding faces", total=frames.frame_count, transient=True):
            detections = detector.detect(frame)
            if len(detections):
                found.append(_cut(frame, estimate_crop_to_frame(detections.keypoints_xy), crop))
            if sum(map(len, found)) >= most:
                break
    if not found:
        raise ValueError(
            f"{source}: images of faces are wanted, none holds a face that the detector finds"
        )
    return np.concatenate(found)[:most]


def rendered_faces(folder: Path, crop: CropSpec, most: int) -> tuple[FloatArray, FloatArray]:
    """Crops of rendered faces nobody trained on, and which AUs they show [N, 12]."""
    from training.datasets.synthetic_images import load_synthetic_images

    table, held_out, _ = load_synthetic_images(folder)
    table = table.select(np.flatnonzero(held_out)[:most])
    maps = estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy))
    frames = [Frame(np.ascontiguousarray(image), PixelFormat.RGB) for image in table.images]
    crops = [_cut(frame, maps[i : i + 1], crop) for i, frame in enumerate(frames)]
    return np.concatenate(crops), np.asarray(table.au, np.float32)


def _cut(frame: Frame, maps: FloatArray, crop: CropSpec) -> FloatArray:
    scaled = rescale_transforms(maps, crop.size_px)
    return kernels.crop_face(frame, scaled, size_px=crop.size_px, mean=crop.mean, std=crop.std)
