"""Adds known actions to a photograph of a face at rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from faceaffect.geometry import (
    TEMPLATE_SIZE_PX,
    estimate_crop_to_frame,
    keypoints_from_landmarks,
)
from training.labeling.mediapipe_teacher import LANDMARKS_68
from training.real_skin.array import Array
from training.real_skin.head_fit import Fit, HeadFitter, carry
from training.real_skin.map_renderer import HeadMaps, MapRenderer
from training.real_skin.mouth import LipGap, MouthLook, fill_mouth
from training.real_skin.shading import (
    GAMMA,
    FoldMaps,
    brightness_ratio,
    fit_light,
    skin_share,
)
from training.real_skin.unit_motions import LID_SHARE, NOMINAL, Variation, base_motion, smooth_step
from training.synthesis.au_targets import intensity_to_weight
from training.synthesis.expression_sampler import AU_WRINKLES
from training.synthesis.head_mesh import (
    FACE_ISLAND,
    build_render_mesh,
    load_head,
    uv_island,
)
from training.synthesis.landmark_vertices import landmark_vertices, lip_pairs
from training.synthesis.wrinkles import WRINKLE_NAMES

STAGE_PX: Final = 240  # side of the square that is worked on
IMAGE_PX: Final = 160  # side of the resulting image
MARGIN: Final = 1.6  # width of the square in aligned crops, as for the other synthetic images
_LUMINANCE: Final = np.array([0.3, 0.6, 0.1], np.float32)
_GRAY_RANGE: Final = 3.0  # mean difference of the channels below which a photograph is gray
_BROW_PART: Final = "eyebrow001"
_BROW_NEIGHBORS: Final = 9
_FOLDS: Final = 0.8  # depth of folds relative to the renderer's, whose skin is smoother
_FLOW_SIGMAS: Final = ((2.0, 1.0), (5.0, 0.03), (12.0, 0.001))
_OUTSIDE_PX: Final = 10.0  # over which the motion fades out beside the head
_IN_HOLES_PX: Final = 1.7  # and in the openings of eyes and mouth


@dataclass(frozen=True, slots=True)
class Action:
    """One unit with its strength and how it differs in this image."""

    unit: str
    strength: float
    variation: Variation = NOMINAL


@dataclass(frozen=True, slots=True)
class Stage:
    """A photograph prepared once for many actions; pixels of the square."""

    photo: Array  # [S, S, 3] RGB 0..1
    is_gray: bool
    fit: Fit
    maps: HeadMaps  # at rest
    light: Array
    skin: Array  # [S, S]
    skin_tone: Array  # [3]
    landmarks_xy: Array  # [68, 2] of the teacher


@dataclass(frozen=True, slots=True)
class ActionImage:
    """Image [P, P, 3] RGB uint8 and landmarks [68, 2] in its pixels."""

    image: Array
    landmarks_xy: Array


class ActionRenderer:
    """Mesh, correspondence, shape model and GL context; one object per process."""

    def __init__(self, data: Path, cache: Path) -> None:
        self.head = load_head(data)
        head = self.head
        self.mesh = build_render_mesh(head.vertex_count, head.quads, head.corner_uv, head.uv)
        self.fitter = HeadFitter(head, cache)
        self._maps = MapRenderer(head, self.mesh, STAGE_PX)
        self._folds = FoldMaps()
        self._marks = landmark_vertices(head)
        self._lip_pairs = lip_pairs(head)
        self._brow_neighbors, self._brow_share = self._brows()

    def prepare(self, photo: Array, points_xyz: Array) -> Stage:
        """Aligns, fits and lights a photograph [H, W, 3] uint8 with the teacher's points [478, 3].

        Points are in pixels of the photograph.
        """
        landmarks = points_xyz[LANDMARKS_68, :2].astype(np.float32)
        to_photo = _stage_to_photo(landmarks)
        square = cv2.warpAffine(
            photo,
            to_photo,
            (STAGE_PX, STAGE_PX),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        is_gray = bool(np.ptp(photo.astype(np.int64), axis=2).mean() < _GRAY_RANGE)
        to_stage = cv2.invertAffineTransform(to_photo)
        scale = float(np.hypot(to_stage[0, 0], to_stage[1, 0]))
        points = np.concatenate(
            [_transform(to_stage, points_xyz[:, :2]), points_xyz[:, 2:] * scale], axis=1
        )
        image = np.asarray(square, np.float32) / 255
        fit = self.fitter.fit(points)
        maps = self._maps.draw(fit.rest, fit.rest)
        skin = skin_share(image, maps)
        lit = skin * (maps.normal[..., 2] > 0.35)
        light = fit_light((image**GAMMA) @ _LUMINANCE, maps.normal, lit)
        is_skin = skin > 0.5
        tone = np.median(image[is_skin], axis=0) if is_skin.any() else np.full(3, 0.5)
        return Stage(
            image,
            is_gray,
            fit,
            maps,
            light,
            skin,
            tone.astype(np.float32),
            _transform(to_stage, landmarks).astype(np.float32),
        )

    def act(
        self, stage: Stage, actions: list[Action], look: MouthLook | None = None
    ) -> ActionImage:
        """Renders actions; an empty list gives the resting twin, which passes the same steps."""
        fit = stage.fit
        moved = fit.rest.copy()
        folds = np.zeros(len(WRINKLE_NAMES), np.float32)
        for action in actions:
            moved += self.displacement(fit, action)
            amount = _FOLDS * intensity_to_weight(action.strength) * action.variation.folds
            for name, gain in AU_WRINKLES.get(action.unit, {}).items():
                folds[WRINKLE_NAMES.index(name)] += gain * amount
        maps = self._maps.draw(moved, fit.rest)
        source = inverse_warp(maps)
        warped = cv2.remap(stage.photo, *source, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        ratio = brightness_ratio(
            stage.maps,
            maps,
            stage.light,
            stage.skin,
            self._folds.depth(maps, folds),
            self._folds.lips(maps),
            source,
            fit.scale,
            is_gray=stage.is_gray,
        )
        image = (np.clip(warped, 0, 1) ** GAMMA * ratio) ** (1 / GAMMA)
        image = fill_mouth(
            image.astype(np.float32),
            self._lip_gap(fit, moved),
            stage.skin_tone,
            look or MouthLook(),
            is_gray=stage.is_gray,
        )
        small = cv2.resize(image, (IMAGE_PX, IMAGE_PX), interpolation=cv2.INTER_AREA)
        shift = (moved - fit.rest)[self._marks, :2] * (1, -1)
        ratio_px = IMAGE_PX / STAGE_PX
        landmarks = (stage.landmarks_xy + shift + 0.5) * ratio_px - 0.5
        return ActionImage(
            np.rint(small.clip(0, 1) * 255).astype(np.uint8), landmarks.astype(np.float32)
        )

    def displacement(self, fit: Fit, action: Action) -> Array:
        """Returns what an action does to the fitted head [N, 3], camera pixels."""
        base = self.head.base
        unit, strength, variation = action.unit, action.strength, action.variation
        moved = base_motion(self.head, self.mesh, unit, strength, variation)
        out = carry(fit, base, moved)
        if unit in LID_SHARE:  # the hair of the brow moves as a whole, or it would be distorted
            free = base_motion(self.head, self.mesh, unit, strength, variation, keeps_lids=False)
            carried = carry(fit, base, free)
            whole = carried[self._brow_neighbors].mean(axis=1)
            out += self._brow_share[:, None] * (whole - out)
        return out

    def _lip_gap(self, fit: Fit, moved: Array) -> LipGap:
        upper, lower = self._lip_pairs.T
        at_rest = np.maximum(fit.rest[upper, 1] - fit.rest[lower, 1], 0)
        opened = (moved[upper, 1] - moved[lower, 1]) - at_rest
        outline = moved[self._marks[60:68], :2] * (1, -1)
        return LipGap(
            outline.astype(np.float32),
            float(-fit.rest[self._marks[62], 1]),
            float(opened.max()),
            fit.scale,
        )

    def _brows(self) -> tuple[Array, Array]:
        """Returns for each vertex brow vertices beside it [N, 9] and its share of the brow [N]."""
        base = self.head.base
        hairs = self.head.parts[_BROW_PART].fit(base)
        island = uv_island(self.head.uv)[self.head.corner_uv][:, 0]
        front = np.unique(self.head.quads[island == FACE_ISLAND])
        front = front[base[front, 2] > 1.4 - 1.3 * base[front, 0] ** 2]  # not the inside of lids
        apart = base[:, None, :2] - hairs[None, :, :2]
        towards_lid = 3 - 2 * smooth_step(np.abs(base[:, :1]), 0.42, 0.52)
        apart[..., 1] *= np.where(apart[..., 1] < 0, towards_lid, 1.0)
        distance = np.linalg.norm(apart, axis=2).min(axis=1)
        share = 1 - smooth_step(distance, 0.012, 0.045)
        share[base[:, 2] < 0.6] = 0.0
        brow = front[distance[front] < 0.012]
        across = np.abs(base[:, None, 0] - base[None, brow, 0])
        order = across + 0.15 * np.abs(base[:, None, 1] - base[None, brow, 1])
        nearest = brow[order.argsort(axis=1)[:, :_BROW_NEIGHBORS]]
        return nearest, share.astype(np.float32)


def inverse_warp(maps: HeadMaps) -> tuple[Array, Array]:
    """Returns columns and rows [S, S] of the photograph that each pixel comes from.

    The motion is continued beyond the drawn skin and fades out there.
    """
    size_px = maps.hollow.shape[0]
    rows, columns = np.mgrid[:size_px, :size_px].astype(np.float32)
    known = maps.is_skin
    offset = maps.source_xy - np.stack([columns, rows], axis=-1)
    flow = np.where(known[..., None], offset, 0).astype(np.float32)
    weight = known.astype(np.float32)
    total = np.zeros_like(weight)
    outside = np.zeros_like(flow)
    for sigma, share in _FLOW_SIGMAS:
        total += share * cv2.GaussianBlur(weight, (0, 0), sigma)
        outside += share * cv2.GaussianBlur(flow, (0, 0), sigma)
    kernel = np.ones((31, 31), np.uint8)
    inner = cv2.morphologyEx(known.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    is_opening = maps.is_hole | (inner & ~known)
    reach = np.where(is_opening, _IN_HOLES_PX, _OUTSIDE_PX)
    filled = outside / np.maximum(total, 1e-6)[..., None]
    fade = np.exp(-((distance / reach) ** 2))[..., None]
    flow = np.where(known[..., None], flow, filled * fade).astype(np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]


def _stage_to_photo(landmarks_xy: Array) -> Array:
    crop_to_photo = estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy[None]))[0]
    scale = TEMPLATE_SIZE_PX * MARGIN / STAGE_PX
    offset = (TEMPLATE_SIZE_PX - 1) / 2 - scale * (STAGE_PX - 1) / 2
    stage_to_crop = np.array([[scale, 0, offset], [0, scale, offset], [0, 0, 1]])
    return np.asarray(crop_to_photo.astype(np.float64) @ stage_to_crop)


def _transform(matrix: Array, points: Array) -> Array:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
