"""What cameras and codecs do to a scene: light, colour, blur, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def spoil(pixels: Picture, rng: np.random.Generator) -> Picture:
    """The same scene as another camera might give it, BGR [H, W, 3]."""
    picture = pixels.astype(np.float32)
    if rng.random() < 0.8:
        gain = np.float32(np.exp(rng.normal(-0.1, 0.3))) * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
        picture = ((picture - 110) * np.float32(np.exp(rng.normal(0, 0.2))) + 110) * gain
    if rng.random() < 0.12:
        picture[:] = picture.mean(axis=2, keepdims=True)
    if rng.random() < 0.3:
        height = picture.shape[0]
        ramp = np.linspace(*np.exp(rng.normal(0, 0.4, 2)), height, dtype=np.float32)
        picture *= ramp[:, None, None]
    if rng.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.3)))
    if rng.random() < 0.4:
        picture += np.float32(rng.uniform(2, 12)) * rng.standard_normal(picture.shape[:2], np.float32)[..., None]
    spoilt = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(30, 95))
        spoilt = np.asarray(cv2.imdecode(cv2.imencode(".jpg", spoilt, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1), np.uint8)
    return spoilt
