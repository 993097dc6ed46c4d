"""Samples lighting, camera and head pose of one image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.synthesis.draw_call import Appearance
from training.synthesis.head_mesh import FloatArray
from training.synthesis.identity import Identity

YAW_LIMIT_DEG, PITCH_LIMIT_DEG, ROLL_LIMIT_DEG = 45.0, 25.0, 25.0


@dataclass(frozen=True, slots=True)
class CameraPose:
    """Head pose and framing of the camera."""

    pose_deg: FloatArray  # [3] yaw, pitch, roll with the signs of types.Faces
    fov_deg: float  # field of view of an image with the whole head; small is a long lens
    shift_fraction: FloatArray  # [2] right and down, as a fraction of the image
    zoom: float


def sample_camera_pose(rng: np.random.Generator) -> CameraPose:
    """Samples a pose: mostly near frontal, sometimes up to the limits."""
    limits = np.array([YAW_LIMIT_DEG, PITCH_LIMIT_DEG, ROLL_LIMIT_DEG])
    spread = np.array([16.0, 9.0, 7.0])
    pose = rng.normal(0, spread) if rng.random() < 0.75 else rng.uniform(-limits, limits)
    return CameraPose(
        pose_deg=np.clip(pose, -limits, limits).astype(np.float32),
        fov_deg=float(np.exp(rng.uniform(np.log(12), np.log(48)))),
        shift_fraction=rng.uniform(-0.035, 0.035, 2).astype(np.float32),
        zoom=float(rng.uniform(0.93, 1.07)),
    )


def _direction(azimuth_deg: float, elevation_deg: float) -> FloatArray:
    a, h = np.radians(azimuth_deg), np.radians(elevation_deg)
    return np.array([np.sin(a) * np.cos(h), np.sin(h), np.cos(a) * np.cos(h)], np.float32)


def sample_appearance(rng: np.random.Generator, identity: Identity) -> Appearance:
    """Samples a key light, a fill or rim light, hemispheric ambient light, and the exposure."""
    warmth = rng.normal(0, 0.12)
    white = np.array([1 + warmth, 1.0, 1 - warmth])
    key_strength = rng.uniform(0.15, 1.25)
    ambient = rng.uniform(0.25, 0.75) + 0.35 * max(0.0, 0.7 - key_strength)
    key = _direction(rng.normal(0, 42), rng.uniform(-12, 65))
    if rng.random() < 0.5:  # fill from the other side
        second = _direction(-np.sign(key[0]) * rng.uniform(20, 80), rng.uniform(-20, 40))
        second_strength = 0.35
    else:  # rim from behind
        second = _direction(rng.choice([-1, 1]) * rng.uniform(95, 140), rng.uniform(0, 40))
        second_strength = 0.8
    second_rgb = second_strength * rng.uniform(0, 1) * (1 + rng.normal(0, 0.15, 3))
    sky = ambient * (1 + rng.normal(0, 0.08, 3)) * white
    ground = ambient * rng.uniform(0.35, 0.95) * (1 + rng.normal(0, 0.08, 3))
    exposure = rng.uniform(0.75, 1.2)
    return Appearance(
        light_dir=np.stack([key, second]).astype(np.float32),
        light_rgb=(np.stack([key_strength * white, second_rgb]).clip(0) * exposure).astype(
            np.float32
        ),
        sky_rgb=(sky.clip(0.02) * exposure).astype(np.float32),
        ground_rgb=(ground.clip(0.02) * exposure).astype(np.float32),
        materials=identity.materials,
        skin=np.array(
            [
                rng.uniform(0.03, 0.30),
                rng.uniform(8, 40),
                rng.uniform(0.15, 0.5),
                rng.uniform(1.0, 3.0),
            ],
            np.float32,
        ),
        sky_dir=_direction(rng.normal(0, 20), rng.uniform(45, 75)),
        shadow_strength=(float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.25, 0.8))),
        shadow_softness=(float(rng.uniform(0.003, 0.02)), float(rng.uniform(0.02, 0.06))),
    )


def vary_skin_tint(rng: np.random.Generator, appearance: Appearance) -> Appearance:
    """Returns the appearance with a slightly different skin color, as of another camera."""
    materials = appearance.materials
    tint = materials.skin_tint * (1 + rng.normal(0, 0.03, 3)).astype(np.float32)
    return replace(appearance, materials=replace(materials, skin_tint=tint))
