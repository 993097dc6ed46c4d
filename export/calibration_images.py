"""Aligned, normalized crops for calibration: faces in the user's images, or synthetic ones."""

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

_MIN_FACE_PX = 40


def faces_in_images(source: str, crop: CropSpec, max_faces: int) -> FloatArray:
    """Crops [N, 3, S, S] of up to `max_faces` detected faces in a folder, pattern or video."""
    detector = MTCNNDetector(_MIN_FACE_PX)
    crops = list[FloatArray]()
    with open_source(source) as frames:
        for frame in track(frames, "finding faces", total=frames.frame_count, transient=True):
            detections = detector.detect(frame)
            if len(detections):
                crops.append(_crop(frame, estimate_crop_to_frame(detections.keypoints_xy), crop))
            if sum(map(len, crops)) >= max_faces:
                break
    if not crops:
        raise ValueError(f"{source}: expected images of faces, got none with a detectable face")
    return np.concatenate(crops)[:max_faces]


def synthetic_faces(folder: Path, crop: CropSpec, max_faces: int) -> tuple[FloatArray, FloatArray]:
    """Crops of held-out synthetic faces, and their AU labels [N, 12]."""
    from training.datasets.synthetic_images import load_synthetic_images

    table, held_out, _ = load_synthetic_images(folder)
    table = table.select(np.flatnonzero(held_out)[:max_faces])
    transforms = estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy))
    frames = [Frame(np.ascontiguousarray(image), PixelFormat.RGB) for image in table.images]
    crops = [_crop(frame, transforms[i : i + 1], crop) for i, frame in enumerate(frames)]
    return np.concatenate(crops), np.asarray(table.au, np.float32)


def _crop(frame: Frame, transforms: FloatArray, crop: CropSpec) -> FloatArray:
    scaled = rescale_transforms(transforms, crop.size_px)
    return kernels.crop_face(frame, scaled, size_px=crop.size_px, mean=crop.mean, std=crop.std)
