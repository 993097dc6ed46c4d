"""One labeled face: identity, expression, scene and image from a seed and a number."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.synthesis.au_regions import visible_units
from training.synthesis.au_targets import RIG_NAMES, displace_sides
from training.synthesis.backgrounds import draw_background, draw_torso
from training.synthesis.camera import CameraView, look_at_head, place_face
from training.synthesis.degrade import degrade, expose
from training.synthesis.dense_points import load_dense_points
from training.synthesis.expression_sampler import PRESENT_INTENSITY, Expression, sample_expression
from training.synthesis.head_mesh import FloatArray, HeadMesh
from training.synthesis.identity import Identity, draw_identity
from training.synthesis.landmark_points import landmark_vertices, lip_openings, lip_pairs
from training.synthesis.occluders import cover_face
from training.synthesis.renderer import REGION_NAMES, HeadRenderer, Look, Shot
from training.synthesis.scene import CameraPose, sample_look, sample_stance
from training.synthesis.wrinkles import WRINKLE_NAMES

FACES_PER_IDENTITY: Final[int] = 6
VALIDATION_EVERY: Final[int] = 10
"""Identities whose number divides by this are for validation."""

OCCLUDED: Final[int] = len(REGION_NAMES)
"""In a face's region map: something in front hides this pixel."""

ARKIT_SHARE: Final[float] = 0.35

GAP_CLOSED, GAP_FULL = 0.012, 0.16
"""Opening of the lips, over the distance between the eyes, at AU25 intensity 0 and 1."""

GAP_AT_REST_MAX = 0.055
"""Distance between the landmarks of closed lips; a person above this stands with lips parted."""

_AU25 = AU_NAMES.index("AU25")


@dataclass(frozen=True, slots=True)
class LabeledFace:
    """An image and its truth."""

    image: NDArray[np.uint8]  # [S, S, 3] RGB
    au_intensity: FloatArray  # [12]
    landmarks_xy: FloatArray  # [68, 2] pixels of the image
    pose_deg: FloatArray  # [3] yaw, pitch, roll
    identity: int
    rig: int  # index into RIG_NAMES
    occluded: bool
    au_visible: NDArray[np.bool_] = field(
        default_factory=lambda: np.ones(len(AU_NAMES), np.bool_)
    )  # [12]
    dense_xy: FloatArray = field(
        default_factory=lambda: np.zeros((0, 2), np.float32)
    )  # [P, 2], see dense_points
    regions: NDArray[np.uint8] = field(
        default_factory=lambda: np.zeros((0, 0), np.uint8)
    )  # [S, S], see REGION_NAMES

    @property
    def au_present(self) -> NDArray[np.bool_]:
        return self.au_intensity >= PRESENT_INTENSITY


class FaceRenderer:
    """Renders faces; holds the GL context, so one a process."""

    def __init__(self, head: HeadMesh, size_px: int, data_dir: Path) -> None:
        self.head = head
        self.size_px = size_px
        self.data_dir = data_dir
        self.renderer = HeadRenderer(head, size_px)
        self.landmark_index = landmark_vertices(head)
        self.dense_points = load_dense_points(head)
        self.lip_pairs = lip_pairs(head)
        self._identity: tuple[tuple[int, int], Identity] | None = None

    def identity_of(self, seed: int, number: int) -> Identity:
        """Person `number` of a seed; the last one is kept."""
        key = (seed, number)
        if self._identity is None or self._identity[0] != key:
            rng = np.random.default_rng([seed, number, 1])
            self._identity = (key, draw_identity(self.head, rng, seed * 1_000_000 + number))
        return self._identity[1]

    def pose_head(
        self, identity: Identity, rig: str, expression: Expression
    ) -> tuple[FloatArray, FloatArray]:
        """Vertices [N, 3] of a face that makes an expression, and the intensities [12] true of
        them.
        """
        vertices = identity.vertices + displace_sides(self.head, expression.target_weights(rig))
        intensity = expression.au_intensity()
        opening, at_rest = self._lip_openings(vertices), self._lip_openings(identity.vertices)
        gap = float((opening - np.minimum(at_rest, GAP_AT_REST_MAX)).max())
        opened = (gap - GAP_CLOSED) / (GAP_FULL - GAP_CLOSED)
        is_pressed = any(
            max(expression.units.get(unit, (0.0,))) > 0.2
            for unit in ("AU23", "AU24", "AU28", "puff")
        )
        intensity[_AU25] = 0.0 if is_pressed else np.clip(opened, 0.0, 1.0) ** 0.6
        return vertices, intensity

    def _lip_openings(self, vertices: FloatArray) -> FloatArray:
        return lip_openings(vertices, self.lip_pairs, vertices[self.landmark_index])

    def view(self, stance: CameraPose, vertices: FloatArray) -> CameraView:
        """The camera of a stance, framed on the face."""
        wide = look_at_head(stance.pose_deg, stance.fov_deg, self.size_px)
        return place_face(wide, vertices[self.landmark_index], stance.shift_share, stance.zoom)

    def draw(
        self,
        identity: Identity,
        vertices: FloatArray,
        expression: Expression,
        look: Look,
        camera: CameraView,
    ) -> FloatArray:
        """Premultiplied RGBA [S, S, 4] of the head alone."""
        left, right = expression.wrinkle_weights(WRINKLE_NAMES)
        shot = Shot(
            vertices=vertices,
            rest_identity=identity.vertices,
            head_to_camera=camera.head_to_camera,
            head_to_clip=camera.head_to_clip,
            view_offset=camera.view_offset,
            wrinkle_left=identity.wrinkle_gain * left + identity.wrinkle_rest,
            wrinkle_right=identity.wrinkle_gain * right + identity.wrinkle_rest,
            wardrobe=identity.wardrobe,
            look=look,
        )
        return self.renderer.draw(shot)

    def make(self, seed: int, index: int, rig_choice: str) -> LabeledFace:
        """Face `index` of a seed: always the same, whoever draws it and in whatever order."""
        rng = np.random.default_rng([seed, index, 2])
        identity = self.identity_of(seed, index // FACES_PER_IDENTITY)
        rig = rig_choice
        if rig_choice == "mixed":
            rig = "arkit" if rng.random() < ARKIT_SHARE else "facs"
        expression = sample_expression(rng, rig)
        vertices, intensity = self.pose_head(identity, rig, expression)
        stance, look = sample_stance(rng), sample_look(rng, identity)
        look = replace(
            look, skin_tint=look.skin_tint * (1 + rng.normal(0, 0.03, 3)).astype(np.float32)
        )
        camera = self.view(stance, vertices)
        drawn = self.draw(identity, vertices, expression, look, camera)
        regions = self.renderer.draw_regions()
        background = draw_background(rng, self.size_px, self.data_dir)
        background = draw_torso(background, camera, look)
        image = drawn[..., :3] + background * (1 - drawn[..., 3:])
        image = expose(image, drawn[..., 3], rng.uniform(0.35, 0.6))
        landmarks_xy = camera.project(vertices[self.landmark_index])
        image, is_occluded, hidden = cover_face(rng, image, landmarks_xy)
        return LabeledFace(
            image=degrade(rng, image),
            au_intensity=intensity,
            landmarks_xy=landmarks_xy,
            pose_deg=stance.pose_deg,
            identity=identity.number,
            rig=RIG_NAMES.index(rig),
            occluded=is_occluded,
            au_visible=visible_units(regions, hidden, landmarks_xy),
            dense_xy=camera.project(self.dense_points.locate(self.head, vertices)),
            regions=np.where(hidden, np.uint8(OCCLUDED), regions).astype(np.uint8),
        )
