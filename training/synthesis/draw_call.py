"""Lighting, materials, assets and geometry of one head to draw."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.synthesis.camera import CameraView
from training.synthesis.head_mesh import FloatArray


@dataclass(frozen=True, slots=True)
class Materials:
    """Skin, hair and clothes of a person; colors are linear RGB."""

    skin_tint: FloatArray  # [3] factors
    hair_tint: FloatArray  # [3]
    brow_tint: FloatArray  # [3]
    stubble: FloatArray  # [4] linear RGB, strength
    lip_red: float
    shirt_rgb: FloatArray  # [3]
    fold_blur: float = 0.0  # softness of the folds, mipmap bias of the wrinkle maps


@dataclass(frozen=True, slots=True)
class Appearance:
    """Lighting and materials of one image; colors are linear RGB."""

    materials: Materials

    light_dir: FloatArray  # [2, 3] unit, towards the light, camera axes
    light_rgb: FloatArray  # [2, 3]
    sky_rgb: FloatArray  # [3]
    ground_rgb: FloatArray  # [3]
    skin: FloatArray  # [4] specular, gloss, wrap, fold darkness
    # towards the brightest part of the sky
    sky_dir: FloatArray = field(default_factory=lambda: np.array([0.0, 0.8, 0.6], np.float32))
    # fraction of the key light and of the sky that a shadow blocks
    shadow_strength: tuple[float, float] = (0.0, 0.0)
    shadow_softness: tuple[float, float] = (0.006, 0.04)  # blur radius, fraction of the shadow map


@dataclass(frozen=True, slots=True)
class Assets:
    """Textures (file stems in the texture folder) and parts (names in the mesh) of a head."""

    skin: str
    eyes: str
    brows: str  # eyebrow001 ... 012
    hair: str | None  # hair_... or bald


@dataclass(frozen=True, slots=True)
class DrawCall:
    """Everything needed to draw one head."""

    vertices: FloatArray  # [N, 3] decimeters, deformed
    neutral_vertices: FloatArray  # [N, 3] the head without expression; hair is fitted to it
    camera: CameraView
    wrinkle_left: FloatArray  # [12]
    wrinkle_right: FloatArray  # [12]
    assets: Assets
    appearance: Appearance
