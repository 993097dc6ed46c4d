"""Renders one labeled face image per seed and index: identity, expression, scene, degradations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.synthesis.au_regions import visible_aus
from training.synthesis.au_targets import RIG_NAMES, displace_sides
from training.synthesis.backgrounds import draw_background, draw_torso
from training.synthesis.camera import CameraView, look_at_head, zoom_to_face
from training.synthesis.degrade import auto_expose, degrade
from training.synthesis.draw_call import Appearance, DrawCall
from training.synthesis.expression_sampler import PRESENT_INTENSITY, Expression, sample_expression
from training.synthesis.head_mesh import FloatArray, HeadMesh
from training.synthesis.head_renderer import REGION_NAMES, HeadRenderer
from training.synthesis.identity import Identity, sample_identity
from training.synthesis.landmark_vertices import landmark_vertices, lip_openings, lip_pairs
from training.synthesis.mesh_points import load_mesh_points
from training.synthesis.occluders import add_occluders
from training.synthesis.scene import (
    CameraPose,
    sample_appearance,
    sample_camera_pose,
    vary_skin_tint,
)
from training.synthesis.wrinkles import WRINKLE_NAMES

FACES_PER_IDENTITY: Final[int] = 6
VALIDATION_STRIDE: Final[int] = 10
"""Identities with numbers divisible by this belong to the validation split."""

REGION_OCCLUDED: Final[int] = len(REGION_NAMES)
"""Region index of pixels hidden by an occluder (`LabeledFace.regions` only)."""

ARKIT_FRACTION: Final[float] = 0.35

LIP_GAP_CLOSED, LIP_GAP_FULL = 0.012, 0.16
"""Lip opening relative to the interocular distance at AU25 intensities 0 and 1."""

MAX_NEUTRAL_LIP_GAP = 0.055
"""Largest landmark distance of closed lips; a neutral face above this has parted lips."""

_AU25 = AU_NAMES.index("AU25")


@dataclass(frozen=True, slots=True)
class LabeledFace:
    """An image and its ground truth."""

    image: NDArray[np.uint8]  # [S, S, 3] RGB
    au_intensity: FloatArray  # [12]
    landmarks_xy: FloatArray  # [68, 2] pixels of the image
    pose_deg: FloatArray  # [3] yaw, pitch, roll
    identity: int
    rig: int  # index into RIG_NAMES
    occluded: bool
    # [12]
    au_visible: NDArray[np.bool_] = field(default_factory=lambda: np.ones(len(AU_NAMES), np.bool_))
    # [P, 2] pixels, see mesh_points
    dense_xy: FloatArray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    # [S, S] indices into REGION_NAMES, or REGION_OCCLUDED
    regions: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))

    @property
    def au_present(self) -> NDArray[np.bool_]:
        return self.au_intensity >= PRESENT_INTENSITY


class FaceRenderer:
    """Renders labeled faces. Owns a GL context: create one per process."""

    def __init__(self, head: HeadMesh, size_px: int, data_dir: Path) -> None:
        self.head = head
        self.size_px = size_px
        self.data_dir = data_dir
        self.head_renderer = HeadRenderer(head, size_px)
        self.landmark_index = landmark_vertices(head)
        self.mesh_points = load_mesh_points(head)
        self.lip_pairs = lip_pairs(head)
        self._identity: tuple[tuple[int, int], Identity] | None = None

    def identity(self, seed: int, number: int) -> Identity:
        """Returns person `number` of a seed; the last one is cached."""
        key = (seed, number)
        if self._identity is None or self._identity[0] != key:
            rng = np.random.default_rng([seed, number, 1])
            self._identity = (key, sample_identity(self.head, rng, seed * 1_000_000 + number))
        return self._identity[1]

    def deform_head(
        self, identity: Identity, rig: str, expression: Expression
    ) -> tuple[FloatArray, FloatArray]:
        """Returns vertices [N, 3] of a face with an expression, and the true intensities [12]."""
        vertices = identity.vertices + displace_sides(self.head, expression.target_weights(rig))
        intensity = expression.au_intensity()
        opening = self._lip_openings(vertices)
        neutral_opening = self._lip_openings(identity.vertices)
        gap = float((opening - np.minimum(neutral_opening, MAX_NEUTRAL_LIP_GAP)).max())
        opened = (gap - LIP_GAP_CLOSED) / (LIP_GAP_FULL - LIP_GAP_CLOSED)
        is_pressed = any(
            max(expression.units.get(unit, (0.0,))) > 0.2
            for unit in ("AU23", "AU24", "AU28", "puff")
        )
        intensity[_AU25] = 0.0 if is_pressed else np.clip(opened, 0.0, 1.0) ** 0.6
        return vertices, intensity

    def _lip_openings(self, vertices: FloatArray) -> FloatArray:
        return lip_openings(vertices, self.lip_pairs, vertices[self.landmark_index])

    def camera_view(self, camera_pose: CameraPose, vertices: FloatArray) -> CameraView:
        """Returns the camera of a pose, zoomed to the face."""
        full_head = look_at_head(camera_pose.pose_deg, camera_pose.fov_deg, self.size_px)
        return zoom_to_face(
            full_head, vertices[self.landmark_index], camera_pose.shift_fraction, camera_pose.zoom
        )

    def draw(
        self,
        identity: Identity,
        vertices: FloatArray,
        expression: Expression,
        appearance: Appearance,
        camera: CameraView,
    ) -> FloatArray:
        """Renders the head alone, premultiplied RGBA [S, S, 4] in 0..1."""
        left, right = expression.wrinkle_weights(WRINKLE_NAMES)
        draw_call = DrawCall(
            vertices=vertices,
            neutral_vertices=identity.vertices,
            camera=camera,
            wrinkle_left=identity.wrinkle_gain * left + identity.neutral_wrinkles,
            wrinkle_right=identity.wrinkle_gain * right + identity.neutral_wrinkles,
            assets=identity.assets,
            appearance=appearance,
        )
        return self.head_renderer.draw(draw_call)

    def draw_on_gray(
        self,
        identity: Identity,
        vertices: FloatArray,
        expression: Expression,
        yaw_deg: float,
        key: list[int],
        framed: FloatArray | None = None,
    ) -> tuple[FloatArray, CameraView]:
        """Renders a person in front of even gray, RGB [S, S, 3] in 0..255, and the camera.

        `key` seeds lighting and exposure; the camera is zoomed to the vertices `framed`, by default
        those that are drawn.
        """
        pose_deg = np.array([yaw_deg, 0, 0], np.float32)
        camera_pose = CameraPose(pose_deg, 25.0, np.zeros(2, np.float32), 1.0)
        camera = self.camera_view(camera_pose, vertices if framed is None else framed)
        appearance = sample_appearance(np.random.default_rng(key), identity)
        drawn = self.draw(identity, vertices, expression, appearance, camera)
        return (drawn[..., :3] + 0.55 * (1 - drawn[..., 3:])).clip(0, 1) * 255, camera

    def render(self, seed: int, index: int, rig_choice: str) -> LabeledFace:
        """Renders face `index` of a seed; deterministic and independent of the rendering order."""
        rng = np.random.default_rng([seed, index, 2])
        identity = self.identity(seed, index // FACES_PER_IDENTITY)
        rig = rig_choice
        if rig_choice == "mixed":
            rig = "arkit" if rng.random() < ARKIT_FRACTION else "facs"
        expression = sample_expression(rng, rig)
        vertices, intensity = self.deform_head(identity, rig, expression)
        camera_pose = sample_camera_pose(rng)
        appearance = vary_skin_tint(rng, sample_appearance(rng, identity))
        camera = self.camera_view(camera_pose, vertices)
        drawn = self.draw(identity, vertices, expression, appearance, camera)
        regions = self.head_renderer.draw_regions()
        background = draw_background(rng, self.size_px, self.data_dir)
        background = draw_torso(background, camera, appearance)
        image = drawn[..., :3] + background * (1 - drawn[..., 3:])
        image = auto_expose(image, drawn[..., 3], rng.uniform(0.35, 0.6))
        landmarks_xy = camera.project(vertices[self.landmark_index])
        image, is_occluded, hidden = add_occluders(rng, image, landmarks_xy)
        return LabeledFace(
            image=degrade(rng, image),
            au_intensity=intensity,
            landmarks_xy=landmarks_xy,
            pose_deg=camera_pose.pose_deg,
            identity=identity.number,
            rig=RIG_NAMES.index(rig),
            occluded=is_occluded,
            au_visible=visible_aus(regions, hidden, landmarks_xy),
            dense_xy=camera.project(self.mesh_points.positions(self.head, vertices)),
            regions=np.where(hidden, np.uint8(REGION_OCCLUDED), regions).astype(np.uint8),
        )
