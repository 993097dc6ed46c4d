"""Images with one known face, for `python -m benchmarks faces`, and animals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""BGR [H, W, 3]."""

GRAY: Final = (100, 100, 100)
PHOTO_PX: Final = 256
"""Side of a web face."""
_FACE: Final = (66.0, 74.0, 190.0, 222.0)
"""Box of the face in a web face, brows to chin, on average."""
_TURN_FOV_DEG: Final = 24.0


@dataclass(frozen=True, slots=True)
class FaceImage:
    """One image and its face; `box_xyxy` is None if it shows no human face."""

    pixels: Image
    box_xyxy: tuple[float, float, float, float] | None
    roll_deg: float = 0.0


def web_faces(data: Path, real: int, fake: int, skip: int = 0) -> list[Image]:
    """Read some real and some generated web faces [256, 256, 3]."""
    faces: list[Image] = []
    for kind, count in (("real", real), ("fake", fake)):
        paths = sorted((data / "webfaces").glob(f"{kind}_*.jpg"))[skip : skip + count]
        faces += [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]
    return faces


def paste(size_wh: tuple[int, int], photo: Image, side_px: int, roll_deg: float = 0) -> FaceImage:
    """Draw a web face with sides of `side_px` in the middle of a gray frame, then rotate it."""
    width, height = size_wh
    shrinks = side_px < photo.shape[0]
    small: Any = cv2.resize(
        photo,
        (side_px, side_px),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    canvas: Any = np.full((height, width, 3), GRAY, np.uint8)
    left, top = (width - side_px) // 2, (height - side_px) // 2
    canvas[top : top + side_px, left : left + side_px] = small
    scale = side_px / PHOTO_PX
    box = np.array(_FACE) * scale + (left, top, left, top)
    if roll_deg:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -roll_deg, 1)
        canvas = cv2.warpAffine(canvas, matrix, size_wh, borderValue=GRAY)
        center = matrix @ [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1]
        half = (box[3] - box[1]) / 2
        box = np.concatenate([center - half, center + half])
    return FaceImage(canvas, (box[0], box[1], box[2], box[3]), roll_deg)


def darken(pixels: Image, gain: float) -> Image:
    """Scale the light by `gain` and add sensor noise of two gray levels."""
    noise = np.random.default_rng(1).normal(0, 2, pixels.shape)
    return (pixels * gain + noise).clip(0, 255).astype(np.uint8)


def cover_mouth(pixels: Image) -> Image:
    """Draw a surgical mask over a web face."""
    covered: Any = pixels.copy()
    points = np.array([[62, 150], [128, 138], [194, 150], [186, 210], [128, 245], [70, 210]])
    cv2.fillPoly(covered, [points], (205, 190, 170), cv2.LINE_AA)
    for y in (165, 185, 205):
        cv2.line(covered, (72, y), (184, y), (185, 170, 150), 2, cv2.LINE_AA)
    return np.asarray(covered, np.uint8)


def cover_eyes(pixels: Image) -> Image:
    """Draw sunglasses over a web face."""
    covered: Any = pixels.copy()
    for x in (92, 164):
        cv2.ellipse(covered, (x, 108), (32, 22), 0, 0, 360, (20, 15, 15), -1, cv2.LINE_AA)
    cv2.line(covered, (60, 102), (196, 102), (20, 15, 15), 5, cv2.LINE_AA)
    return np.asarray(covered, np.uint8)


def cover_half(pixels: Image) -> Image:
    """Hide the left half of a web face behind a wall."""
    covered: Image = pixels.copy()
    covered[:, : PHOTO_PX // 2] = GRAY
    return covered


CHANGES: Final[dict[str, Callable[[Image], Image]]] = {
    "15 % light and noise": lambda pixels: darken(pixels, 0.15),
    "10 % light and noise": lambda pixels: darken(pixels, 0.10),
    "mask over the mouth": cover_mouth,
    "sunglasses": cover_eyes,
    "left half hidden": cover_half,
}
"""Ways to make a web face hard to find."""


class TurningHeads:
    """Rendered heads at any yaw; needs OpenGL."""

    def __init__(self, data: Path, size_px: int = 288) -> None:
        from training.synthesis.face_renderer import FaceRenderer
        from training.synthesis.head_mesh import load_head

        self._renderer = FaceRenderer(load_head(data, with_facs=False), size_px, data)
        self._size_px = size_px

    def render(self, number: int, yaw_deg: float) -> FaceImage:
        """Render person `number` with a neutral face, head turned by `yaw_deg`."""
        from training.synthesis.backgrounds import draw_torso
        from training.synthesis.camera import look_at_head
        from training.synthesis.expression_sampler import Expression
        from training.synthesis.scene import sample_appearance

        renderer = self._renderer
        rng = np.random.default_rng([number, 5])
        identity = renderer.identity(11, number)
        appearance = sample_appearance(rng, identity)
        appearance = replace(
            appearance, light_dir=np.array([[-0.4, 0.4, 0.8], [0.7, 0.2, 0.6]], np.float32)
        )
        expression = Expression({}, (0.0, 0.0), {})
        vertices, _ = renderer.deform_head(identity, "arkit", expression)
        camera = look_at_head(np.array([yaw_deg, 0, 0], np.float32), _TURN_FOV_DEG, self._size_px)
        drawn = renderer.draw(identity, vertices, expression, appearance, camera)
        background = np.full((self._size_px, self._size_px, 3), 0.4, np.float32)
        background = draw_torso(background, camera, appearance)
        image = drawn[..., :3] + background * (1 - drawn[..., 3:])
        landmarks = camera.project(vertices[renderer.landmark_index])
        pixels = np.ascontiguousarray(np.rint(image.clip(0, 1) * 255).astype(np.uint8)[..., ::-1])
        x1, y1 = (float(low) for low in landmarks.min(axis=0))
        x2, y2 = (float(high) for high in landmarks.max(axis=0))
        return FaceImage(pixels, (x1, y1, x2, y2))


def animals() -> list[FaceImage]:
    """Cats and drawn animals: the photograph `chelsea` of scikit-image where that is installed."""
    images = [FaceImage(_draw_animal(ears, muzzle), None) for ears in (0, 1) for muzzle in (0, 1)]
    spec = find_spec("skimage")
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        cat: Any = cv2.imread(str(Path(folder) / "data" / "chelsea.png"))
        if cat is None:
            continue
        for factor in (0.35, 0.5, 0.7, 1.0, 1.5):
            resized = cv2.resize(cat, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            images += [
                FaceImage(np.asarray(resized, np.uint8), None),
                FaceImage(np.ascontiguousarray(resized[:, ::-1]), None),
            ]
    return images


def _draw_animal(ears: int, muzzle: int) -> Image:
    """Draw the head of a cat or bear."""
    canvas: Any = np.full((360, 480, 3), (120, 150, 110), np.uint8)
    fur, dark, light = (60, 110, 170), (20, 25, 30), (170, 200, 225)
    for side in (-1, 1):
        x = 240 + side * 75
        if ears:
            cv2.circle(canvas, (x, 85), 38, fur, -1, cv2.LINE_AA)
        else:
            tip = np.array([[x - 38, 130], [x + 38, 130], [x + side * 15, 40]])
            cv2.fillPoly(canvas, [tip], fur, cv2.LINE_AA)
    cv2.ellipse(canvas, (240, 180), (112, 105), 0, 0, 360, fur, -1, cv2.LINE_AA)
    if muzzle:
        cv2.ellipse(canvas, (240, 225), (58, 46), 0, 0, 360, light, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(canvas, (240 + side * 44, 155), 15, light, -1, cv2.LINE_AA)
        cv2.circle(canvas, (240 + side * 44, 155), 8, dark, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (240, 203), (16, 11), 0, 0, 360, dark, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (240, 222), (32, 16), 0, 15, 165, dark, 3, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.uint8)


def statues(photos: list[Image]) -> list[FaceImage]:
    """The backs of heads: web faces without their features, as gray stone."""
    images = []
    for photo in photos:
        gray = cv2.cvtColor(cv2.GaussianBlur(photo, (0, 0), 9), cv2.COLOR_BGR2GRAY)
        stone: Any = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
        cv2.ellipse(stone, (128, 138), (66, 86), 0, 0, 360, (128, 128, 128), -1, cv2.LINE_AA)
        stone = cv2.GaussianBlur(stone, (0, 0), 5)
        images.append(replace(paste((480, 360), np.asarray(stone, np.uint8), 256), box_xyxy=None))
    return images
