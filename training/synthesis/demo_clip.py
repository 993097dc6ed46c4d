"""Renders the demo clip and its ground truth: neutral, smile, surprise, sadness, neutral.

Uses CC0 assets only (MakeHuman mesh and skin, ARKit face units); the LGPL FACS targets are not
loaded.
"""

from __future__ import annotations

import csv
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.synthesis.backgrounds import draw_torso
from training.synthesis.camera import look_at_head, zoom_to_face
from training.synthesis.draw_call import Appearance, Assets, Materials
from training.synthesis.expression_sampler import Expression
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import FloatArray, load_head
from training.synthesis.identity import Identity, center_on_eyes

WIDTH_PX, HEIGHT_PX, FPS, FRAMES = 640, 360, 30, 180
FOV_DEG, ZOOM = 22.0, 0.60

_SMILE: Final = {"AU6": 0.8, "AU12": 0.9, "AU25": 1.0}
_SURPRISE: Final = {"AU1": 0.9, "AU2": 0.9, "AU5": 0.7, "AU25": 0.3, "AU26": 0.65}
_SADNESS: Final = {"AU1": 0.75, "AU4": 0.6, "AU15": 0.95, "AU17": 0.35}

_KEYFRAMES: Final[list[tuple[float, dict[str, float]]]] = [
    (0.0, {}),
    (0.7, {}),
    (1.15, _SMILE),
    (2.0, _SMILE),
    (2.45, {}),
    (2.75, _SURPRISE),
    (3.5, _SURPRISE),
    (3.9, {}),
    (4.4, _SADNESS),
    (5.3, _SADNESS),
    (5.75, {}),
    (6.0, {}),
]
"""Times in seconds and AU intensities, interpolated smoothly."""

_BLINKS_S: Final = (0.35, 2.45, 3.95, 5.6)
_BLINK_HALF_S: Final = 0.11

_POSES: Final[list[tuple[float, tuple[float, float, float]]]] = [
    (0.0, (-4.0, 0.0, 0.0)),
    (1.2, (5.0, 2.0, 2.0)),
    (2.4, (-3.0, 0.0, -1.0)),
    (3.0, (0.0, 5.0, 0.0)),
    (4.4, (6.0, -5.0, 3.0)),
    (5.3, (3.0, -4.0, 3.0)),
    (6.0, (-4.0, 0.0, 0.0)),
]
"""Yaw, pitch, roll in degrees."""


def _interpolate(time_s: float, times: list[float]) -> tuple[int, float]:
    """Returns the keyframe index before a time and the smooth weight 0..1 of the next one."""
    k = int(np.clip(np.searchsorted(times, time_s, side="right") - 1, 0, len(times) - 2))
    weight = float(np.clip((time_s - times[k]) / (times[k + 1] - times[k]), 0, 1))
    return k, weight * weight * (3 - 2 * weight)


def expression_at(time_s: float) -> Expression:
    """Returns the expression at a time of the clip."""
    k, weight = _interpolate(time_s, [key[0] for key in _KEYFRAMES])
    (_, before), (_, after) = _KEYFRAMES[k : k + 2]
    units = {
        name: (1 - weight) * before.get(name, 0.0) + weight * after.get(name, 0.0)
        for name in {**before, **after}
    }
    closed = max(0.0, 1.0 - min(abs(time_s - blink_s) for blink_s in _BLINKS_S) / _BLINK_HALF_S)
    units["blink"] = closed * closed * (3 - 2 * closed)
    gaze = (3.0 * float(np.sin(1.3 * time_s)), -2.0 - 6.0 * units.get("AU15", 0.0))
    return Expression({name: (value, 0.94 * value) for name, value in units.items()}, gaze, {})


def pose_at(time_s: float) -> FloatArray:
    """Returns yaw, pitch, roll [3] in degrees at a time of the clip."""
    k, weight = _interpolate(time_s, [key[0] for key in _POSES])
    pose = (1 - weight) * np.array(_POSES[k][1]) + weight * np.array(_POSES[k + 1][1])
    return pose.astype(np.float32)


def _demo_identity(renderer: FaceRenderer) -> Identity:
    identity = renderer.identity(4, 12)
    head = renderer.head
    weights = {
        "macro/caucasian-female-young": 0.75,
        "macro/asian-female-young": 0.25,
        "shape/head/head-oval": 0.35,
    }
    blend = 0.25 * (identity.vertices - head.base) + head.base + head.displace(weights)
    vertices = center_on_eyes(head, blend)
    return replace(
        identity,
        vertices=vertices.astype(np.float32),
        assets=Assets(
            "skin1024_young_lightskinned_female_diffuse2",
            "eye_brown_eye",
            "eyebrow001",
            "hair_ponytail01",
        ),
        materials=Materials(
            skin_tint=np.array([0.98, 0.98, 0.98], np.float32),
            hair_tint=np.array([0.9, 0.75, 0.62], np.float32),
            brow_tint=np.array([0.8, 0.62, 0.5], np.float32),
            stubble=np.zeros(4, np.float32),
            lip_red=0.22,
            shirt_rgb=np.array([0.05, 0.14, 0.22], np.float32),
        ),
        wrinkle_gain=0.55,
        neutral_wrinkles=np.zeros(12, np.float32),
    )


def _demo_appearance(identity: Identity) -> Appearance:
    directions = np.array([[-0.55, 0.45, 0.71], [0.75, 0.15, 0.35]])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Appearance(
        light_dir=directions.astype(np.float32),
        light_rgb=np.array([[0.80, 0.75, 0.69], [0.17, 0.19, 0.23]], np.float32),
        sky_rgb=np.array([0.46, 0.48, 0.52], np.float32),
        ground_rgb=np.array([0.31, 0.28, 0.26], np.float32),
        materials=identity.materials,
        skin=np.array([0.10, 18.0, 0.35, 2.2], np.float32),
    )


def _demo_background() -> FloatArray:
    """Returns a wall with a soft spotlight, RGB [S, S, 3]."""
    y, x = np.mgrid[0:WIDTH_PX, 0:WIDTH_PX].astype(np.float32) / WIDTH_PX
    spotlight = np.exp(-(((x - 0.62) / 0.45) ** 2 + ((y - 0.40) / 0.35) ** 2))[..., None]
    wall = np.array([0.42, 0.47, 0.50], np.float32) * (0.75 + 0.25 * (1 - y))[..., None]
    return np.asarray(wall + spotlight * np.array([0.26, 0.23, 0.18], np.float32), np.float32)


def _draw_frames(data_dir: Path) -> tuple[list[NDArray[np.uint8]], list[FloatArray]]:
    """Returns BGR frames [H, W, 3] and the ground-truth intensities [12] of each."""
    renderer = FaceRenderer(load_head(data_dir, with_facs=False), WIDTH_PX, data_dir)
    identity = _demo_identity(renderer)
    appearance = _demo_appearance(identity)
    background = _demo_background()
    frontal = look_at_head(np.zeros(3, np.float32), FOV_DEG, WIDTH_PX)
    landmarks = identity.vertices[renderer.landmark_index]
    framed = zoom_to_face(frontal, landmarks, np.array([0.0, 0.035], np.float32), ZOOM)
    fit = framed.head_to_clip @ np.linalg.inv(frontal.head_to_clip)
    top = (WIDTH_PX - HEIGHT_PX) // 2
    frames = []
    intensities = []
    for number in range(FRAMES):
        time_s = number / FPS
        vertices, intensity = renderer.deform_head(identity, "arkit", expression_at(time_s))
        rotated = look_at_head(pose_at(time_s), FOV_DEG, WIDTH_PX)
        camera = replace(rotated, head_to_clip=fit @ rotated.head_to_clip)
        drawn = renderer.draw(identity, vertices, expression_at(time_s), appearance, camera)
        image = drawn[..., :3] + draw_torso(background, framed, appearance) * (1 - drawn[..., 3:])
        pixels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
        frames.append(np.ascontiguousarray(pixels[top : top + HEIGHT_PX, :, ::-1]))
        intensities.append(intensity)
    return frames, intensities


def write_demo(out: Path, data_dir: Path) -> None:
    """Writes the clip (H.264) and `<stem>_truth.csv`: frame number and twelve intensities."""
    frames, intensities = _draw_frames(data_dir)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, frame in enumerate(frames):
            cv2.imwrite(str(Path(folder) / f"{number:04d}.png"), frame)
        command = ["ffmpeg", "-y", "-loglevel", "error", "-framerate", str(FPS)]
        command += ["-i", str(Path(folder) / "%04d.png"), "-c:v", "libx264", "-preset", "slow"]
        command += ["-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
        subprocess.run([*command, str(out)], check=True)
    with out.with_name(out.stem + "_truth.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["frame", *AU_NAMES])
        for number, intensity in enumerate(intensities):
            writer.writerow([number, *(f"{value:.3f}" for value in intensity)])
