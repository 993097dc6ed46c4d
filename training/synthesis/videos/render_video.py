"""Renders the frames of a video and their ground truth.

Heads are rendered into tiles, composited over a background with occluders, and degraded by a
camera model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.backgrounds import draw_background, draw_torso
from training.synthesis.camera import CameraView, look_at_head, zoom_to_face
from training.synthesis.draw_call import Appearance
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import FloatArray
from training.synthesis.occluders import add_occluders
from training.synthesis.scene import sample_appearance, vary_skin_tint
from training.synthesis.videos.performance import Performance
from training.synthesis.videos.plan import VideoPlan

ZOOM: Final = (0.80, 0.96)
"""Zoom of the tiles, below 1 so that the head can move (see `camera.zoom_to_face`)."""

FOV_DEG: Final = (14.0, 40.0)
OCCLUSION_S: Final = (0.6, 2.5)
GRAY_PROBABILITY: Final[float] = 0.1
_MAX_TRIES: Final[int] = 400

_CHEST: Final = np.array(
    [(-0.36, 5.86, 0.4), (0.36, 5.86, 0.4), (0.62, 4.0, 0.4), (-0.62, 4.0, 0.4)], np.float32
)
"""Outline of the chest in head decimeters, between hair that falls in front of the shoulders."""


@dataclass(frozen=True, slots=True)
class RenderedPerson:
    """Rendered tiles and ground truth of one person over n frames."""

    tiles: NDArray[np.uint8]  # [n, S, S, 4] premultiplied RGBA
    left_px: int  # left edge of the tile in the frame
    au_intensity: FloatArray  # [n, 12]
    landmarks_xy: FloatArray  # [n, 68, 2] pixels of the frame
    torso_views: list[CameraView]  # n
    appearance: Appearance
    is_occluded: NDArray[np.bool_]  # [n] part of the face is hidden
    occluder_seed: int  # of the temporary occluder
    glasses_seed: int  # of what is worn in all frames: glasses or nothing


@dataclass(frozen=True, slots=True)
class VideoCamera:
    """Tone and noise of the camera of a video."""

    gain: float
    gamma: float
    saturation: float
    blur_px: float
    noise: float


def _shifted(view: CameraView, ndc_xy: FloatArray) -> CameraView:
    """Returns the view with its image shifted right and up in clip space."""
    translation = np.eye(4, dtype=np.float32)
    translation[:2, 3] = ndc_xy
    return replace(view, head_to_clip=(translation @ view.head_to_clip).astype(np.float32))


def render_person(
    rng: np.random.Generator, renderer: FaceRenderer, performance: Performance, left_px: int
) -> RenderedPerson:
    """Renders all frames of a person with a static camera."""
    size_px = renderer.size_px
    identity = performance.identity
    appearance = vary_skin_tint(rng, sample_appearance(rng, identity))
    fov_deg = float(np.exp(rng.uniform(*np.log(FOV_DEG))))
    mean_view = look_at_head(performance.head.mean_pose_deg, fov_deg, size_px)
    # More room above the head than below.
    shift = np.array([rng.uniform(-0.03, 0.03), rng.uniform(0.06, 0.11)])
    framed = zoom_to_face(
        mean_view, identity.vertices[renderer.landmark_index], shift, float(rng.uniform(*ZOOM))
    )
    fit = framed.head_to_clip @ np.linalg.inv(mean_view.head_to_clip)
    upright = look_at_head(np.zeros(3, np.float32), fov_deg, size_px)
    upright = replace(upright, head_to_clip=fit @ upright.head_to_clip)
    count = len(performance.frames)
    tiles = np.empty((count, size_px, size_px, 4), np.uint8)
    intensity = np.empty((count, 12), np.float32)
    landmarks = np.empty((count, 68, 2), np.float32)
    torso_views = []
    for k, expression in enumerate(performance.frames):
        sway = performance.head.sway_fraction[k] * np.array([2, -2], np.float32)
        rotated = look_at_head(performance.head.pose_deg[k], fov_deg, size_px)
        camera = _shifted(replace(rotated, head_to_clip=fit @ rotated.head_to_clip), sway)
        vertices, intensity[k] = renderer.deform_head(identity, performance.rig, expression)
        drawn = renderer.draw(identity, vertices, expression, appearance, camera)
        tiles[k] = np.rint(drawn * 255)
        landmarks[k] = camera.project(vertices[renderer.landmark_index]) + np.array(
            [left_px, 0], np.float32
        )
        torso_views.append(
            _shifted(upright, sway + np.array([2 * left_px / size_px, 0], np.float32))
        )
    return RenderedPerson(
        tiles,
        left_px,
        intensity,
        landmarks,
        torso_views,
        appearance,
        np.zeros(count, bool),
        *_find_occluder_seeds(rng, landmarks[0]),
    )


def _find_occluder_seeds(rng: np.random.Generator, landmarks_xy: FloatArray) -> tuple[int, int]:
    """Finds a seed for which `add_occluders` hides part of the face, and one for which it does not.

    The second one may draw clear glasses.
    """
    blank = np.full((64, 64, 3), 0.5, np.float32)
    small = (landmarks_xy - landmarks_xy.mean(axis=0)) / max(
        float(np.ptp(landmarks_xy)), 1e-3
    ) * 36 + 32
    occluder_seed = -1
    glasses_seed = -1
    for _ in range(_MAX_TRIES):
        seed = int(rng.integers(1 << 31))
        _, is_occluded, _ = add_occluders(np.random.default_rng(seed), blank, small)
        if is_occluded and occluder_seed < 0:
            occluder_seed = seed
        if not is_occluded and glasses_seed < 0:
            glasses_seed = seed
        if occluder_seed >= 0 and glasses_seed >= 0:
            return occluder_seed, glasses_seed
    raise RuntimeError(
        f"expected add_occluders to hide a face in some of {_MAX_TRIES} tries, got none or all"
    )


def add_occlusion_interval(
    rng: np.random.Generator, person: RenderedPerson, fps: float
) -> RenderedPerson:
    """Returns the person with an occluder in front of the face for an interval of frames."""
    count = len(person.tiles)
    length = min(count // 2, max(2, round(float(rng.uniform(*OCCLUSION_S)) * fps)))
    start = int(rng.integers(0, count - length))
    is_occluded = np.zeros(count, bool)
    is_occluded[start : start + length] = True
    return replace(person, is_occluded=is_occluded)


def sample_camera(rng: np.random.Generator, people: list[RenderedPerson]) -> VideoCamera:
    """Samples a consumer camera with partial automatic exposure for the faces."""
    brightness = []
    for person in people:
        tile = person.tiles[len(person.tiles) // 2].astype(np.float32) / 255
        size_px = tile.shape[0]
        center = tile[size_px // 4 : 3 * size_px // 4, size_px // 4 : 3 * size_px // 4]
        is_face = center[..., 3] > 0.9
        brightness.append(float(center[..., :3][is_face].mean()) if is_face.any() else 0.45)
    target = float(rng.uniform(0.36, 0.58))
    gain = float(np.clip((target / max(float(np.mean(brightness)), 0.02)) ** 0.6, 0.7, 1.9))
    return VideoCamera(
        gain=gain * float(rng.uniform(0.9, 1.1)),
        gamma=float(rng.uniform(0.88, 1.18)),
        saturation=0.0 if rng.random() < GRAY_PROBABILITY else float(rng.uniform(0.6, 1.2)),
        blur_px=float(rng.uniform(0.35, 0.9)) if rng.random() < 0.35 else 0.0,
        noise=float(rng.gamma(1.5, 0.008)),
    )


def apply_tone(
    rng: np.random.Generator, camera: VideoCamera, image: FloatArray
) -> NDArray[np.uint8]:
    """Applies the tone, blur and noise of a camera to RGB [H, W, 3] in 0..1."""
    toned: FloatArray = cv2.pow(np.clip(image * np.float32(camera.gain), 0, 1), camera.gamma)
    gray = toned @ np.array([[0.299], [0.587], [0.114]], np.float32)
    toned = np.asarray(gray + (toned - gray) * np.float32(camera.saturation), np.float32)
    if camera.blur_px:
        toned = np.asarray(cv2.GaussianBlur(toned, (0, 0), camera.blur_px), np.float32)
    noise = rng.standard_normal(toned.shape, np.float32) * np.float32(camera.noise)
    recorded = np.clip(toned + noise * np.sqrt(np.clip(toned, 0.05, 1)), 0, 1)
    return np.asarray(np.rint(recorded * 255), np.uint8)


def render_video(
    rng: np.random.Generator, video: VideoPlan, people: list[RenderedPerson], renderer: FaceRenderer
) -> Iterator[NDArray[np.uint8]]:
    """Yields the RGB frames [H, W, 3] of a video."""
    width, height = video.size_wh
    camera = sample_camera(rng, people)
    side = max(width, height)
    background = draw_background(rng, side, renderer.data_dir)
    background = background[(side - height) // 2 :][:height, :width]
    for k in range(video.frame_count):
        frame = background
        for person in people:
            frame = draw_torso(frame, person.torso_views[k], person.appearance)
        frame = np.array(frame, np.float32)
        bodies = frame.copy()
        for person in people:
            tile = person.tiles[k].astype(np.float32) / 255
            region = frame[:, person.left_px : person.left_px + tile.shape[1]]
            region *= 1 - tile[..., 3:]
            region += tile[..., :3]
            chest = _chest_mask(person.torso_views[k], frame.shape[:2])
            frame += chest * (bodies - frame)
        for person in people:
            frame = _draw_person_occluders(frame, person, k)
        yield apply_tone(rng, camera, frame)


def _chest_mask(view: CameraView, shape: tuple[int, ...]) -> FloatArray:
    """Returns the mask [H, W, 1] in which the chest covers hair behind it.

    Needed because the body is drawn before the head.
    """
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.rint(view.project(_CHEST) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return mask[..., None]


def _draw_person_occluders(frame: FloatArray, person: RenderedPerson, k: int) -> FloatArray:
    """Draws glasses and the temporary occluder, on a square image as `add_occluders` expects."""
    height, width = frame.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.float32)
    square[:height, :width] = frame
    seeds = [person.glasses_seed] + [person.occluder_seed] * bool(person.is_occluded[k])
    for seed in seeds:
        square, _, _ = add_occluders(np.random.default_rng(seed), square, person.landmarks_xy[k])
    return square[:height, :width]
