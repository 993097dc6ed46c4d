"""Corruptions of scenes by cameras and codecs: light, color, blur, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def corrupt(pixels: Image, rng: np.random.Generator) -> Image:
    """The scene with random corruptions, BGR [H, W, 3]."""
    image = pixels.astype(np.float32)
    if rng.random() < 0.8:
        gain = np.float32(np.exp(rng.normal(-0.1, 0.3))) * np.exp(rng.normal(0, 0.06, 3)).astype(
            np.float32
        )
        image = ((image - 110) * np.float32(np.exp(rng.normal(0, 0.2))) + 110) * gain
    if rng.random() < 0.12:
        image[:] = image.mean(axis=2, keepdims=True)
    if rng.random() < 0.3:
        height = image.shape[0]
        first, last = np.exp(rng.normal(0, 0.4, 2)).tolist()
        image *= np.linspace(first, last, height, dtype=np.float32)[:, None, None]
    if rng.random() < 0.25:
        image = np.asarray(
            cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.3))), np.float32
        )
    if rng.random() < 0.4:
        image += (
            np.float32(rng.uniform(2, 12))
            * rng.standard_normal(image.shape[:2], np.float32)[..., None]
        )
    corrupted = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(30, 95))
        corrupted = np.asarray(
            cv2.imdecode(
                cv2.imencode(".jpg", corrupted, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1
            ),
            np.uint8,
        )
    return corrupted
