"""Camera and codec degradations of a clean image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.head_mesh import FloatArray


def auto_expose(image: FloatArray, face: FloatArray, target: float) -> FloatArray:
    """Moves the brightness of the face most of the way to `target`, as automatic exposure does.

    Args:
        image: RGB [S, S, 3] in 0..1.
        face: Alpha [S, S] of the head; only the center of the image is metered.
        target: Mean brightness of the face, 0..1.
    """
    size_px = image.shape[0]
    center = slice(size_px // 4, 3 * size_px // 4)
    is_face = face[center, center] > 0.9
    brightness = float(image[center, center][is_face].mean()) if is_face.any() else target
    gain = float(np.clip((target / max(brightness, 0.02)) ** 0.75, 0.6, 3.5))
    exposed: FloatArray = np.clip(image * gain, 0, 1)
    return exposed


def degrade(rng: np.random.Generator, image: FloatArray) -> NDArray[np.uint8]:
    """Converts RGB [S, S, 3] in 0..1 to uint8 with random camera and codec degradations."""
    size_px = image.shape[0]
    gain = rng.uniform(0.85, 1.15)
    gamma = rng.uniform(0.85, 1.2)
    image = np.clip(image * gain, 0, 1) ** gamma
    if rng.random() < 0.18:
        image = np.repeat(image @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    elif rng.random() < 0.4:
        gray = image.mean(axis=2, keepdims=True)
        image = gray + (image - gray) * rng.uniform(0.5, 1.3)
    if rng.random() < 0.30:
        image = _blur(rng, image)
    if rng.random() < 0.30:
        small_px = int(size_px * rng.uniform(0.38, 0.9))
        down = cv2.resize(image, (small_px, small_px), interpolation=cv2.INTER_AREA)
        image = np.asarray(
            cv2.resize(down, (size_px, size_px), interpolation=cv2.INTER_LINEAR), np.float32
        )
    noisy: NDArray[np.floating[Any]] = image
    if rng.random() < 0.6:
        strength = 0.035 * rng.random() ** 2
        noisy = image + rng.normal(0, 1, image.shape) * strength * np.sqrt(np.clip(image, 0.05, 1))
    pixels: NDArray[np.uint8] = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.uniform(28, 95))
        _, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        if decoded is None:
            raise RuntimeError("OpenCV failed to decode its own JPEG")
        pixels = np.asarray(decoded, np.uint8)[..., ::-1]
    return np.ascontiguousarray(pixels)


def _blur(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    if rng.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.2))), np.float32)
    length = int(rng.integers(3, 6))
    kernel = np.zeros((length, length), np.float32)
    rotation = cv2.getRotationMatrix2D(
        ((length - 1) / 2, (length - 1) / 2), float(rng.uniform(0, 180)), 1.0
    )
    kernel[length // 2] = 1.0
    kernel = np.asarray(cv2.warpAffine(kernel, rotation, (length, length)), np.float32)
    normalized = kernel / max(float(kernel.sum()), 1e-6)
    return np.asarray(cv2.filter2D(image, -1, normalized), np.float32)
