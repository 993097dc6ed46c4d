"""Samples identities: head shape, skin, eyes, brows and hair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.synthesis.draw_call import Assets, Materials
from training.synthesis.head_mesh import FloatArray, HeadMesh

_SHAPE_GROUPS: Final[dict[str, float]] = {
    "cheek": 0.5,
    "chin": 0.55,
    "ears": 0.5,
    "eyebrows": 0.35,
    "eyes": 0.38,
    "forehead": 0.5,
    "head": 0.4,
    "mouth": 0.4,
    "neck": 0.4,
    "nose": 0.45,
}
"""Largest weight of shape targets, by target group."""

_EYES: Final = (
    "brown",
    "brownlight",
    "blue",
    "bluegreen",
    "deepblue",
    "green",
    "grey",  # as in the texture file
    "ice",
    "lightblue",
)
# Repeated names are sampled more often. Styles that cover the brows are rare; those that cover an
# eye are excluded.
_HAIR_FEMALE: Final = (
    "long01",
    "long01",
    "ponytail01",
    "ponytail01",
    "braid01",
    "afro01",
    "short02",
    "short02",
)
_HAIR_MALE: Final = ("short01", "short01", "short02", "short04", "short04", "afro01", "short03")
_OPPOSITES: Final = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Shape and appearance of one person with a neutral expression."""

    number: int
    vertices: FloatArray  # [N, 3] decimeters
    assets: Assets
    materials: Materials
    wrinkle_gain: float  # depth of expression folds
    neutral_wrinkles: FloatArray  # [12] depth of folds without expression


def sample_identity(head: HeadMesh, rng: np.random.Generator, number: int) -> Identity:
    """Samples a person; the same generator state returns the same person."""
    is_male = rng.random() < 0.5
    oldness = float(np.clip(rng.beta(1.1, 1.8), 0, 1))
    race = rng.dirichlet([0.5, 0.5, 0.6])  # african, asian, caucasian
    weights = _macro_weights(rng, 0.9 if is_male else 0.1, oldness, race)
    weights.update(_shape_weights(head, rng))
    weights.update(_neutral_face_weights(rng))
    vertices = center_on_eyes(head, head.base + head.displace(weights))
    is_dark = race[0] > 0.45
    assets = _sample_assets(head, rng, is_male, oldness, is_dark)
    tint, lip_red = _sample_skin_tone(rng, is_dark, race)
    hair_tint, brow_tint = _sample_hair_tints(rng, oldness, is_dark or race[1] > 0.5)
    beard = rng.uniform(0.15, 0.85) if is_male and rng.random() < 0.45 else 0.0
    gain = float(np.clip(rng.normal(0.85 + 0.35 * oldness, 0.22), 0.6, 1.5))
    has_wrinkle = rng.random(12) < 0.25 + 0.5 * oldness
    neutral_wrinkles = has_wrinkle * rng.beta(1.2, 4.0, 12) * (0.25 + 0.75 * oldness)
    fold_blur = float(rng.uniform(0.0, 2.2))
    shirt_rgb = rng.random() ** 2 * 0.7 * (0.35 + 0.65 * rng.random(3)) + 0.01
    stubble = np.array([*(0.05 * brow_tint + 0.006), beard], np.float32)
    materials = Materials(
        tint, hair_tint, brow_tint, stubble, lip_red, shirt_rgb.astype(np.float32), fold_blur
    )
    return Identity(number, vertices, assets, materials, gain, neutral_wrinkles.astype(np.float32))


def center_on_eyes(head: HeadMesh, vertices: FloatArray) -> FloatArray:
    """Shifts a head [N, 3] so that its eyes match those of the base mesh.

    Targets of the body height move heads up and down.
    """
    eyes = head.parts["eyes_low"]
    offset: FloatArray = (eyes.fit(head.base) - eyes.fit(vertices)).mean(axis=0)
    return vertices + offset


def _macro_weights(
    rng: np.random.Generator, maleness: float, oldness: float, race: NDArray[np.float64]
) -> dict[str, float]:
    weights: dict[str, float] = {}
    sexes = (("male", maleness), ("female", 1 - maleness))
    ages = (("old", oldness), ("young", 1 - oldness))
    muscle = rng.uniform(-0.8, 0.8)
    weight = rng.uniform(-0.9, 0.9)
    for sex, s in sexes:
        for age, a in ages:
            for name, r in zip(("african", "asian", "caucasian"), race, strict=True):
                weights[f"macro/{name}-{sex}-{age}"] = float(s * a * r)
            stem = f"macro/universal-{sex}-{age}"
            muscle_name = "maxmuscle" if muscle > 0 else "minmuscle"
            weight_name = "maxweight" if weight > 0 else "minweight"
            m = abs(muscle)
            w = abs(weight)
            weights[f"{stem}-{muscle_name}-{weight_name}"] = float(s * a * m * w)
            weights[f"{stem}-{muscle_name}-averageweight"] = float(s * a * m * (1 - w))
            weights[f"{stem}-averagemuscle-{weight_name}"] = float(s * a * (1 - m) * w)
    return weights


def _neutral_face_weights(rng: np.random.Generator) -> dict[str, float]:
    """Returns random weights of the neutral brows, lids and mouth corners.

    The bare mesh looks a little stern.
    """
    brows = rng.uniform(-0.75, 0.1)
    inner = rng.uniform(-0.1, 0.3)
    corners = rng.uniform(-0.12, 0.16)
    mouth_target = "mouthSmile" if corners > 0 else "mouthFrown"
    lids = rng.uniform(-0.1, 0.2)
    weights = {"arkit/browInnerUp": inner}
    for side in ("Left", "Right"):
        weights[f"arkit/browDown{side}"] = brows
        weights[f"arkit/{mouth_target}{side}"] = abs(corners)
        weights[f"arkit/eyeBlink{side}"] = lids
    return {name: float(weight) for name, weight in weights.items()}


def _shape_weights(head: HeadMesh, rng: np.random.Generator) -> dict[str, float]:
    """Returns symmetric shape target weights, about a third of them nonzero."""
    weights: dict[str, float] = {}
    for name in head.targets:
        if not name.startswith("shape/"):
            continue
        _, group, stem = name.split("/")
        if stem.startswith("r-"):
            continue
        opposite = next((b for a, b in _OPPOSITES if stem.endswith("-" + a)), None)
        if any(stem.endswith("-" + b) for _, b in _OPPOSITES):
            continue  # handled together with its opposite
        if (
            rng.random() > 0.35
            or ("trans-in" in stem and not stem.startswith("l-"))
            or "pointed" in stem
        ):
            continue
        amount = float(np.clip(rng.normal(0, 0.5), -1, 1)) * _SHAPE_GROUPS[group]
        if opposite is not None and amount > 0:
            stem = stem[: stem.rindex("-") + 1] + opposite
        mirrored = ["r-" + stem[2:]] if stem.startswith("l-") else []
        for side in [stem, *mirrored]:
            weights[f"shape/{group}/{side}"] = abs(amount)
    return weights


def _sample_assets(
    head: HeadMesh, rng: np.random.Generator, is_male: bool, oldness: float, is_dark: bool
) -> Assets:
    age = "young" if oldness < 0.35 else "middleage" if oldness < 0.7 else "old"
    tone = "dark" if is_dark else "light"
    sex = "male" if is_male else "female"
    stem = f"skin_{age}_{tone}skinned_{sex}_diffuse"
    skins = sorted(path.stem for path in head.texture_dir.glob(stem + "*"))
    eyes = "brown" if is_dark or rng.random() < 0.5 else str(rng.choice(_EYES))
    styles = _HAIR_MALE if is_male else _HAIR_FEMALE
    is_bald = rng.random() < (0.18 if is_male else 0.03)
    return Assets(
        skin=str(rng.choice(skins)),
        eyes=f"eye_{eyes}_eye",
        brows=f"eyebrow{rng.integers(1, 13):03d}",
        hair=None if is_bald else "hair_" + str(rng.choice(styles)),
    )


def _sample_skin_tone(
    rng: np.random.Generator, is_dark: bool, race: NDArray[np.float64]
) -> tuple[FloatArray, float]:
    bright = rng.uniform(0.95, 2.1) if is_dark else rng.uniform(0.55, 1.12)
    warmth = rng.normal(0, 0.05)
    base = np.array([0.80, 1.0, 1.12]) if is_dark else np.array([0.95, 1.0, 1.05 - 0.12 * race[1]])
    tint = base * np.array([1 + warmth, 1.0, 1 - warmth]) * bright
    return tint.astype(np.float32), float(np.clip(rng.normal(0.1, 0.25), -0.2, 1.0))


def _sample_hair_tints(
    rng: np.random.Generator, oldness: float, is_black: bool
) -> tuple[FloatArray, FloatArray]:
    """Returns factors on the dark hair textures; gray and blond are brighter than 1."""
    if rng.random() < max(0.0, oldness - 0.45) * 1.4:
        hair = np.full(3, rng.uniform(2.0, 6.0)) * np.array([1.0, 0.98, 0.95])
    elif is_black or rng.random() < 0.45:
        hair = rng.uniform(0.25, 1.1) * np.array([1.0, 0.92, 0.85])
    else:
        hair = rng.uniform(0.8, 4.5) * np.array([1.1, 0.88, rng.uniform(0.5, 0.7)])
    return hair.astype(np.float32), (np.clip(hair, 0.2, 2.2) * rng.uniform(0.5, 1.1)).astype(
        np.float32
    )
