"""A camera on the people of a video: tiles of heads, room, things in front, tone and noise; and the
truth of each frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.backgrounds import draw_background, draw_torso
from training.synthesis.camera import CameraView, look_at_head, place_face
from training.synthesis.face import FaceRenderer
from training.synthesis.head_mesh import FloatArray
from training.synthesis.occluders import add_occluders
from training.synthesis.renderer import Look
from training.synthesis.scene import sample_look
from training.synthesis.videos.performance import Performance
from training.synthesis.videos.plan import VideoPlan

ZOOM: Final = (0.80, 0.96)
"""Of a tile whose aligned crop takes 1 / 1.6 of the width at 1: room for the head to move."""

FOV_DEG: Final = (14.0, 40.0)
OCCLUSION_S: Final = (0.6, 2.5)
GRAY_SHARE: Final[float] = 0.1
_TRIES: Final[int] = 400

_CHEST: Final = np.array(
    [(-0.36, 5.86, 0.4), (0.36, 5.86, 0.4), (0.62, 4.0, 0.4), (-0.62, 4.0, 0.4)], np.float32
)
"""Outline in head decimetres, between the strands that fall before the shoulders."""


@dataclass(frozen=True, slots=True)
class FilmedPerson:
    """Truth of one person's image over n frames."""

    tiles: NDArray[np.uint8]  # [n, S, S, 4] premultiplied RGBA
    left_px: int  # of the tile in the frame
    au_intensity: FloatArray  # [n, 12]
    landmarks_xy: FloatArray  # [n, 68, 2] pixels of the frame
    torso_views: list[CameraView]  # n
    look: Look
    is_occluded: NDArray[np.bool_]  # [n] something hides part of the face
    cover_seed: int  # of what hides it
    worn_seed: int  # of what is worn all the time: glasses or nothing


@dataclass(frozen=True, slots=True)
class VideoCamera:
    """Tone of a video."""

    gain: float
    gamma: float
    saturation: float
    blur_px: float
    noise: float


def _shifted(view: CameraView, ndc_xy: FloatArray) -> CameraView:
    """The view with its image moved by a share of clip space, right and up."""
    move = np.eye(4, dtype=np.float32)
    move[:2, 3] = ndc_xy
    return replace(view, head_to_clip=(move @ view.head_to_clip).astype(np.float32))


def render_person(
    rng: np.random.Generator, studio: FaceRenderer, act: Performance, left_px: int
) -> FilmedPerson:
    """Draw all frames of a person from a camera that stands still."""
    size_px, identity = studio.size_px, act.identity
    look = sample_look(rng, identity)
    look = replace(look, skin_tint=look.skin_tint * (1 + rng.normal(0, 0.03, 3)).astype(np.float32))
    fov_deg = float(np.exp(rng.uniform(*np.log(FOV_DEG))))
    still = look_at_head(act.head.mean_pose_deg, fov_deg, size_px)
    shift = np.array(
        [rng.uniform(-0.03, 0.03), rng.uniform(0.06, 0.11)]
    )  # more room above than below
    framed = place_face(
        still, identity.vertices[studio.landmark_index], shift, float(rng.uniform(*ZOOM))
    )
    fit = framed.head_to_clip @ np.linalg.inv(still.head_to_clip)
    upright = look_at_head(np.zeros(3, np.float32), fov_deg, size_px)
    upright = CameraView(
        upright.head_to_camera, fit @ upright.head_to_clip, upright.view_offset, size_px
    )
    count = len(act.frames)
    tiles = np.empty((count, size_px, size_px, 4), np.uint8)
    intensity, landmarks = np.empty((count, 12), np.float32), np.empty((count, 68, 2), np.float32)
    torso_views = []
    for k, expression in enumerate(act.frames):
        sway = act.head.sway_share[k] * np.array([2, -2], np.float32)
        turned = look_at_head(act.head.pose_deg[k], fov_deg, size_px)
        camera = CameraView(
            turned.head_to_camera, fit @ turned.head_to_clip, turned.view_offset, size_px
        )
        camera = _shifted(camera, sway)
        vertices, intensity[k] = studio.pose_head(identity, act.rig, expression)
        drawn = studio.draw(identity, vertices, expression, look, camera)
        tiles[k] = np.rint(drawn * 255)
        landmarks[k] = camera.project(vertices[studio.landmark_index]) + np.array(
            [left_px, 0], np.float32
        )
        torso_views.append(
            _shifted(upright, sway + np.array([2 * left_px / size_px, 0], np.float32))
        )
    return FilmedPerson(
        tiles,
        left_px,
        intensity,
        landmarks,
        torso_views,
        look,
        np.zeros(count, bool),
        *_draw_covers(rng, landmarks[0]),
    )


def _draw_covers(rng: np.random.Generator, landmarks_xy: FloatArray) -> tuple[int, int]:
    """Seeds with which `add_occluders` hides part of the face, and with which it does not (it may
    put on glasses).
    """
    blank = np.full((64, 64, 3), 0.5, np.float32)
    small = (landmarks_xy - landmarks_xy.mean(axis=0)) / max(
        float(np.ptp(landmarks_xy)), 1e-3
    ) * 36 + 32
    hiding, worn = -1, -1
    for _ in range(_TRIES):
        seed = int(rng.integers(1 << 31))
        _, hides = add_occluders(np.random.default_rng(seed), blank, small)
        if hides and hiding < 0:
            hiding = seed
        if not hides and worn < 0:
            worn = seed
        if hiding >= 0 and worn >= 0:
            return hiding, worn
    raise RuntimeError(f"add_occluders hid nothing, or everything, in {_TRIES} tries")


def hide_for_a_while(rng: np.random.Generator, person: FilmedPerson, fps: float) -> FilmedPerson:
    """The same with something before the face for a stretch of frames."""
    count = len(person.tiles)
    length = min(count // 2, max(2, round(float(rng.uniform(*OCCLUSION_S)) * fps)))
    start = int(rng.integers(0, count - length))
    is_occluded = np.zeros(count, bool)
    is_occluded[start : start + length] = True
    return replace(person, is_occluded=is_occluded)


def draw_camera(rng: np.random.Generator, people: list[FilmedPerson]) -> VideoCamera:
    """Exposure for the faces half way to a usual brightness, and the look of a consumer's camera."""
    brightness = []
    for person in people:
        tile = person.tiles[len(person.tiles) // 2].astype(np.float32) / 255
        size_px = tile.shape[0]
        middle = tile[size_px // 4 : 3 * size_px // 4, size_px // 4 : 3 * size_px // 4]
        is_face = middle[..., 3] > 0.9
        brightness.append(float(middle[..., :3][is_face].mean()) if is_face.any() else 0.45)
    target = float(rng.uniform(0.36, 0.58))
    gain = float(np.clip((target / max(float(np.mean(brightness)), 0.02)) ** 0.6, 0.7, 1.9))
    return VideoCamera(
        gain=gain * float(rng.uniform(0.9, 1.1)),
        gamma=float(rng.uniform(0.88, 1.18)),
        saturation=0.0 if rng.random() < GRAY_SHARE else float(rng.uniform(0.6, 1.2)),
        blur_px=float(rng.uniform(0.35, 0.9)) if rng.random() < 0.35 else 0.0,
        noise=float(rng.gamma(1.5, 0.008)),
    )


def develop(rng: np.random.Generator, camera: VideoCamera, image: FloatArray) -> NDArray[np.uint8]:
    """RGB [H, W, 3] in 0..1 to what the camera records."""
    toned: FloatArray = cv2.pow(np.clip(image * np.float32(camera.gain), 0, 1), camera.gamma)
    gray = toned @ np.array([[0.299], [0.587], [0.114]], np.float32)
    toned = np.asarray(gray + (toned - gray) * np.float32(camera.saturation), np.float32)
    if camera.blur_px:
        toned = np.asarray(cv2.GaussianBlur(toned, (0, 0), camera.blur_px), np.float32)
    noise = rng.standard_normal(toned.shape, np.float32) * np.float32(camera.noise)
    recorded = np.clip(toned + noise * np.sqrt(np.clip(toned, 0.05, 1)), 0, 1)
    return np.asarray(np.rint(recorded * 255), np.uint8)


def shoot(
    rng: np.random.Generator, video: VideoPlan, people: list[FilmedPerson], studio: FaceRenderer
) -> Iterator[NDArray[np.uint8]]:
    """Frames RGB [H, W, 3] of a video."""
    width, height = video.size_wh
    camera = draw_camera(rng, people)
    side = max(width, height)
    room = draw_background(rng, side, studio.data_dir)[(side - height) // 2 :][:height, :width]
    for k in range(video.frame_count):
        frame = room
        for person in people:
            frame = draw_torso(frame, person.torso_views[k], person.look)
        frame = np.array(frame, np.float32)
        bodies = frame.copy()
        for person in people:
            tile = person.tiles[k].astype(np.float32) / 255
            part = frame[:, person.left_px : person.left_px + tile.shape[1]]
            part *= 1 - tile[..., 3:]
            part += tile[..., :3]
            chest = _chest_cover(person.torso_views[k], frame.shape[:2])
            frame += chest * (bodies - frame)
        for person in people:
            frame = _put_on(frame, person, k)
        yield develop(rng, camera, frame)


def _chest_cover(view: CameraView, shape: tuple[int, ...]) -> FloatArray:
    """Where [H, W, 1] the chest hides hair that hangs down behind it: the body is a backdrop to the
    drawn head.
    """
    cover = np.zeros(shape, np.float32)
    cv2.fillPoly(cover, [np.rint(view.project(_CHEST) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return cover[..., None]


def _put_on(frame: FloatArray, person: FilmedPerson, k: int) -> FloatArray:
    """Glasses and what hides the face; drawn on a square, which is what `add_occluders` takes."""
    height, width = frame.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.float32)
    square[:height, :width] = frame
    square, _ = add_occluders(
        np.random.default_rng(person.worn_seed), square, person.landmarks_xy[k]
    )
    if person.is_occluded[k]:
        square, _ = add_occluders(
            np.random.default_rng(person.cover_seed), square, person.landmarks_xy[k]
        )
    return square[:height, :width]
