"""Draws one head without a screen: OpenGL through EGL, which also runs on a CPU (llvmpipe)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

os.environ.setdefault(
    "LP_NUM_THREADS", "1"
)  # one core a worker; more processes beat more threads here

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from training.synthesis.head_mesh import (
    FACE_ISLAND,
    MOUTH_ISLAND,
    SOCKET_ISLAND,
    FloatArray,
    HeadMesh,
    RenderMesh,
    build_render_mesh,
    concavity,
    uv_island,
    vertex_normals,
)
from training.synthesis.shaders import VERTEX, fragment_source
from training.synthesis.shadow_maps import SHADOW_UNIT, ShadowMaps
from training.synthesis.wrinkles import BOX_XY, draw_skin_areas, draw_wrinkle_maps

SUPERSAMPLING = 2
LIPS_Z = 1.55  # base decimetres
LIPS_UPPER, LIPS_LOWER = (474, 2717), (493, 2727)
CLOSED_DM = 0.012
"""Lips nearer than this show no teeth, which are then not drawn."""

SKIN, EYE, MOUTH, HAIR = 0, 1, 2, 3

REGION_NAMES = ("background", "face", "eyes", "mouth", "hair", "neck")
"""What a pixel of a region map shows, by number: `face` with brows and lashes, `mouth` its inside,
`neck` with ears.
"""

REGION_FACE, REGION_EYES, REGION_MOUTH, REGION_HAIR = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Look:
    """Light and surface of one image; colors are linear RGB."""

    light_dir: FloatArray  # [2, 3] unit, towards the light, camera axes
    light_rgb: FloatArray  # [2, 3]
    sky_rgb: FloatArray  # [3]
    ground_rgb: FloatArray  # [3]
    skin_tint: FloatArray  # [3]
    skin: FloatArray  # [4] specular, gloss, wrap, fold darkness
    stubble: FloatArray  # [4] linear RGB, strength
    lip_red: float
    hair_tint: FloatArray  # [3]
    brow_tint: FloatArray  # [3]
    shirt_rgb: FloatArray  # [3]
    sky_dir: FloatArray = field(
        default_factory=lambda: np.array([0.0, 0.8, 0.6], np.float32)
    )  # where the sky is brightest
    shadow_share: tuple[float, float] = (
        0.0,
        0.0,
    )  # of the key light and the sky that a shadow takes away
    shadow_spread: tuple[float, float] = (0.006, 0.04)  # softness, shares of the map
    fold_blur: float = 0.0  # levels of detail taken off the folds


@dataclass(frozen=True, slots=True)
class Assets:
    """Which textures and parts a head wears: file stems of the texture folder, part names of the
    mesh.
    """

    skin: str
    eyes: str
    brows: str  # eyebrow001 ... 012
    hair: str | None  # hair_... or bald


@dataclass(frozen=True, slots=True)
class Shot:
    """One head ready to draw."""

    vertices: FloatArray  # [N, 3] decimetres, deformed
    rest_identity: FloatArray  # [N, 3] the same head without expression: what hair follows
    head_to_camera: FloatArray  # [3, 3]
    head_to_clip: FloatArray  # [4, 4]
    view_offset: FloatArray  # [3]
    wrinkle_left: FloatArray  # [12]
    wrinkle_right: FloatArray  # [12]
    wardrobe: Assets
    look: Look


@dataclass(slots=True)
class _Drawable:
    mesh: RenderMesh
    dynamic: moderngl.Buffer
    static: moderngl.Buffer
    index: moderngl.Buffer
    vertex_arrays: dict[tuple[int, bool], moderngl.VertexArray] = field(default_factory=dict)
    cached_for: bytes | None = field(default=None)


def _scalp_share(head: HeadMesh) -> FloatArray:
    """How much each vertex [N] belongs to the hairy part of the head, 0..1."""
    x, y, z = head.base.T
    top = np.clip((y - 7.92) / 0.12, 0, 1)
    back = np.clip((0.72 - z) / 0.15, 0, 1) * np.clip((y - 7.0) / 0.15, 0, 1)
    ear = (np.abs(x) > 0.70) & (y < 7.5)
    return np.where(ear, 0.0, np.maximum(top, back)).astype(np.float32)


def _lash_lids(head: HeadMesh) -> NDArray[np.int64]:
    """The vertex of a lid's edge nearest to each eyelash vertex [V]."""
    island = uv_island(head.uv)[head.corner_uv]
    socket = np.unique(head.quads[island == SOCKET_ISLAND])
    edge = np.intersect1d(socket, np.unique(head.quads[island == FACE_ISLAND]))
    lashes = head.parts["eyelashes"].fit(head.base)
    return edge[np.linalg.norm(lashes[:, None] - head.base[edge], axis=2).argmin(axis=1)]


class HeadRenderer:
    """Keeps meshes and textures on the GL side; `draw` is the only thing that callers need."""

    def __init__(self, head: HeadMesh, size_px: int) -> None:
        self.head = head
        self.size_px = size_px
        self.context = moderngl.create_context(standalone=True, backend="egl")
        self._programs = {
            (kind, is_map): self.context.program(
                vertex_shader=VERTEX, fragment_shader=fragment_source(kind, draws_regions=is_map)
            )
            for kind in (SKIN, EYE, MOUTH, HAIR)
            for is_map in (False, True)
        }
        inner_px = round(size_px * SUPERSAMPLING)
        self._frame = self.context.simple_framebuffer((inner_px, inner_px), components=4)
        self._region_frame = self.context.simple_framebuffer((size_px, size_px), components=4)
        self._drawn: list[
            tuple[_Drawable, int, int, str]
        ] = []  # of the last image: mesh, kind, region, texture
        self._textures: dict[str, moderngl.Texture] = {}
        self._drawables: dict[str, _Drawable] = {}
        self._bind_skin_maps()
        skin = self._drawable("skin")
        self._shadows = ShadowMaps(self.context, skin.dynamic, skin.index)
        self._set_unit("shadow_map", SHADOW_UNIT)
        self._scalp = _scalp_share(head)
        self._lash_lid = _lash_lids(head)
        self._rest_folds: tuple[bytes, FloatArray] | None = None

    def draw(self, shot: Shot) -> NDArray[np.float32]:
        """Premultiplied RGBA [S, S, 4] in 0..1 (display gamma), top row first."""
        frame = self._frame
        frame.use()
        frame.clear(0.0, 0.0, 0.0, 0.0)
        self.context.enable(moderngl.DEPTH_TEST | moderngl.BLEND)
        self.context.blend_func = (
            moderngl.SRC_ALPHA,
            moderngl.ONE_MINUS_SRC_ALPHA,
            moderngl.ONE,
            moderngl.ONE_MINUS_SRC_ALPHA,
        )
        self._set_shot(shot)
        self._drawn.clear()
        self._draw_skin(shot)
        self._draw_inner_parts(shot)
        self._draw_hairy_parts(shot)
        raw = np.frombuffer(frame.read(components=4, dtype="f1"), np.uint8)
        image = raw.reshape(frame.height, frame.width, 4)[::-1]
        small = cv2.resize(image, (self.size_px, self.size_px), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / 255.0

    def draw_regions(self) -> NDArray[np.uint8]:
        """What each pixel [S, S] of the last image shows, as an index into REGION_NAMES; top row
        first.
        """
        self._region_frame.use()
        self._region_frame.clear(0.0, 0.0, 0.0, 0.0)
        self.context.disable(moderngl.BLEND)
        self._set("alpha_range", np.array([0.5, 2.0], np.float32))
        for drawable, kind, region, texture in self._drawn:
            self._programs[kind, True]["region"].value = region
            self._texture(texture).use(0)
            self._vertex_array(drawable, kind, is_map=True).render()
        raw = np.frombuffer(self._region_frame.read(components=4, dtype="f1"), np.uint8)
        return np.ascontiguousarray(raw.reshape(self.size_px, self.size_px, 4)[::-1, :, 0])

    def _set_shot(self, shot: Shot) -> None:
        look = shot.look
        self._set("head_to_clip", shot.head_to_clip.T)
        self._set("head_to_camera", shot.head_to_camera.T)
        for name in (
            "light_dir",
            "light_rgb",
            "sky_rgb",
            "ground_rgb",
            "skin",
            "stubble",
            "shirt_rgb",
            "lip_red",
            "fold_blur",
        ):
            self._set(name, getattr(look, name))
        for name in ("view_offset", "wrinkle_left", "wrinkle_right"):
            self._set(name, getattr(shot, name))

    def _set(self, name: str, value: FloatArray | float | tuple[float, ...]) -> None:
        """Give a float uniform to every program that has it."""
        data = np.asarray(value, np.float32).tobytes()
        for program in self._programs.values():
            member = program.get(name, None)
            if isinstance(member, moderngl.Uniform):
                member.write(data)

    def _set_unit(self, name: str, unit: int) -> None:
        """Tell every program which texture unit a sampler reads."""
        for program in self._programs.values():
            member = program.get(name, None)
            if isinstance(member, moderngl.Uniform):
                member.value = (
                    unit
                    if member.array_length == 1
                    else list(range(unit, unit + member.array_length))
                )

    def _bind_skin_maps(self) -> None:
        maps = draw_wrinkle_maps()
        for unit, (name, pixels) in enumerate(
            [*zip("abc", maps, strict=True), ("stubble", draw_skin_areas())], start=1
        ):
            texture = self._upload(pixels)
            texture.repeat_x = texture.repeat_y = False
            texture.use(unit)
            self._textures["map_" + name] = texture
            uniform_name = "stubble_map" if name == "stubble" else f"wrinkle_map_{name}"
            self._set_unit(uniform_name, unit)
        x0, y0, x1, y1 = BOX_XY
        self._set("wrinkle_box", (x0, y0, 1.0 / (x1 - x0), 1.0 / (y1 - y0)))
        self._set_unit("albedo_map", 0)
        self._set("mouth_front", LIPS_Z)

    def _cast_shadows(self, shot: Shot) -> None:
        """Draw the skin, whose vertices are already there, as the key light and the sky see it."""
        look = shot.look
        directions = (look.light_dir[0], look.sky_dir)
        self._set(
            "camera_to_light",
            self._shadows.cast(shot.head_to_camera, directions, look.shadow_share),
        )
        self._set("shadow_share", look.shadow_share)
        self._set("shadow_spread", look.shadow_spread)
        self._frame.use()

    def _upload(self, pixels: NDArray[np.uint8]) -> moderngl.Texture:
        """A mipmapped texture of an image [H, W, C] whose top row is first."""
        texture = self.context.texture(
            pixels.shape[1::-1], pixels.shape[2], np.ascontiguousarray(pixels[::-1]).tobytes()
        )
        texture.build_mipmaps()
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return texture

    def _texture(self, stem: str) -> moderngl.Texture:
        if stem not in self._textures:
            paths = [self.head.texture_dir / (stem + suffix) for suffix in (".png", ".jpg")]
            path = next((p for p in paths if p.exists()), None)
            if path is None:
                raise FileNotFoundError(
                    f"texture must be a .png or .jpg in {self.head.texture_dir}, got {stem}"
                )
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            has_alpha = image.shape[2] == 4
            order = cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGB
            self._textures[stem] = self._upload(cv2.cvtColor(image, order))
        return self._textures[stem]

    def _drawable(self, name: str) -> _Drawable:
        if name not in self._drawables:
            head = self.head
            if name == "skin":
                mesh = build_render_mesh(head.vertex_count, head.quads, head.corner_uv, head.uv)
                rest = head.base[mesh.source]
            else:
                part = head.parts[name]
                mesh = build_render_mesh(len(part.ref), part.quads, part.corner_uv, part.uv)
                rest = np.zeros((len(mesh.source), 3), np.float32)
            static = np.concatenate([mesh.uv, rest], axis=1).astype("f4")
            dynamic = self.context.buffer(reserve=len(mesh.source) * 8 * 4, dynamic=True)
            static_buffer = self.context.buffer(static.tobytes())
            index = self.context.buffer(mesh.triangles.astype("i4").tobytes())
            self._drawables[name] = _Drawable(mesh, dynamic, static_buffer, index)
        return self._drawables[name]

    def _vertex_array(
        self, drawable: _Drawable, kind: int, *, is_map: bool = False
    ) -> moderngl.VertexArray:
        key = (kind, is_map)
        if key not in drawable.vertex_arrays:
            program = self._programs[key]
            layouts = (
                (drawable.dynamic, (("position", 3), ("normal", 3), ("shade", 2))),
                (drawable.static, (("uv", 2), ("rest", 3))),
            )
            content = []
            for (
                buffer,
                attributes,
            ) in layouts:  # a program drops what it does not read; its bytes are skipped
                layout = " ".join(
                    f"{n}f" if name in program else f"{4 * n}x" for name, n in attributes
                )
                names = [name for name, _ in attributes if name in program]
                if names:
                    content.append((buffer, layout, *names))
            drawable.vertex_arrays[key] = self.context.vertex_array(
                program, content, index_buffer=drawable.index
            )
        return drawable.vertex_arrays[key]

    def _draw_part(
        self, name: str, kind: int, tint: FloatArray, texture: str, attributes: FloatArray
    ) -> None:
        drawable = self._drawable(name)
        drawable.dynamic.write(attributes.astype("f4").tobytes())
        self._render(drawable, kind, tint, texture)

    def _upload_skin(self, shot: Shot, attributes: FloatArray) -> None:
        drawable = self._drawable("skin")
        drawable.dynamic.write(attributes.astype("f4").tobytes())
        self._cast_shadows(shot)
        self._render(drawable, SKIN, shot.look.skin_tint, shot.wardrobe.skin)

    def _render(self, drawable: _Drawable, kind: int, tint: FloatArray, texture: str) -> None:
        self._programs[kind, False]["tint"].value = tuple(float(c) for c in tint)
        vertex_array = self._vertex_array(drawable, kind)
        is_hair = kind == HAIR and texture.startswith("hair_")
        region = (
            REGION_HAIR
            if is_hair
            else {EYE: REGION_EYES, MOUTH: REGION_MOUTH}.get(kind, REGION_FACE)
        )
        self._drawn.append((drawable, kind, region, texture))
        self._texture(texture).use(0)
        if kind != HAIR:
            self.context.enable(moderngl.CULL_FACE)
            vertex_array.render()
            self.context.disable(moderngl.CULL_FACE)
            return
        self._set("alpha_range", (0.55, 2.0))
        vertex_array.render()
        self._frame.depth_mask = False
        self._set("alpha_range", (0.05, 0.55))
        vertex_array.render()
        self._frame.depth_mask = True

    def _draw_skin(self, shot: Shot) -> None:
        mesh = self._drawable("skin").mesh
        vertices = shot.vertices
        normals = vertex_normals(mesh, vertices)
        folds = np.clip(
            concavity(mesh, vertices, normals) - 0.8 * self._folds_at_rest(shot), -0.2, 0.22
        )
        if shot.wardrobe.hair is not None:  # keep the scalp under the hair
            vertices = vertices - self._scalp[:, None] * 0.06 * normals
        island = uv_island(mesh.uv)
        shade = np.stack(
            [folds[mesh.source], (island != MOUTH_ISLAND) & (island != SOCKET_ISLAND)], axis=1
        )
        attributes = np.concatenate([vertices[mesh.source], normals[mesh.source], shade], axis=1)
        self._upload_skin(shot, attributes)

    def _folds_at_rest(self, shot: Shot) -> FloatArray:
        """Concavity [N] of the head without expression; only what an expression adds darkens much."""
        key = shot.rest_identity.tobytes()
        if self._rest_folds is None or self._rest_folds[0] != key:
            mesh = self._drawable("skin").mesh
            normals = vertex_normals(mesh, shot.rest_identity)
            self._rest_folds = (key, concavity(mesh, shot.rest_identity, normals))
        return self._rest_folds[1]

    def _part_attributes(
        self, name: str, anchor: FloatArray, kind: int, move: FloatArray | None = None
    ) -> FloatArray:
        """Position, normal and shade [R, 8] of a part on head vertices [N, 3], moved by [V, 3]."""
        mesh = self._drawable(name).mesh
        vertices = self.head.parts[name].fit(anchor)
        if move is not None:
            vertices = vertices + move
        normals = vertex_normals(mesh, vertices)
        shade = np.ones((len(vertices), 2), np.float32)
        if kind == MOUTH:
            lips_z = float(anchor[[455, 496], 2].mean())
            shade[:, 0] = np.clip(0.05 + (vertices[:, 2] - lips_z + 0.42) * 1.9, 0.04, 0.95)
        elif kind == EYE:
            for side in (vertices[:, 0] < 0, vertices[:, 0] >= 0):
                y = vertices[side, 1]
                radius = max(float(np.ptp(y)) / 2, 1e-4)
                shade[side, 0] = np.clip(
                    0.92 - 0.75 * np.maximum(0.0, (y - y.mean()) / radius), 0.25, 1.0
                )
        return np.concatenate(
            [vertices[mesh.source], normals[mesh.source], shade[mesh.source]], axis=1
        )

    def _draw_inner_parts(self, shot: Shot) -> None:
        white, ivory = np.ones(3, np.float32), np.array([2.2, 1.95, 1.7], np.float32)
        parts = [("eyes_low", EYE, shot.wardrobe.eyes, white * 0.8)]
        opening = shot.vertices[list(LIPS_UPPER), 1] - shot.vertices[list(LIPS_LOWER), 1]
        if opening.max() > CLOSED_DM:
            parts += [("teeth", MOUTH, "teeth", ivory), ("tongue", MOUTH, "tongue01", white * 0.8)]
        for name, kind, texture, tint in parts:
            self._draw_part(
                name, kind, tint, texture, self._part_attributes(name, shot.vertices, kind)
            )

    def _draw_hairy_parts(self, shot: Shot) -> None:
        look, wardrobe = shot.look, shot.wardrobe
        brows = self._part_attributes(wardrobe.brows, shot.vertices, HAIR)
        self._draw_part(wardrobe.brows, HAIR, look.brow_tint, "brow_" + wardrobe.brows, brows)
        lid_move = (shot.vertices - shot.rest_identity)[self._lash_lid]  # lashes ride on the lids
        lashes = self._part_attributes("eyelashes", shot.rest_identity, HAIR, lid_move)
        self._draw_part("eyelashes", HAIR, look.brow_tint * 0.6, "eyelashes01", lashes)
        if wardrobe.hair is None:
            return
        drawable = self._drawable(wardrobe.hair)
        key = shot.rest_identity.tobytes()
        if drawable.cached_for != key:
            attributes = self._part_attributes(wardrobe.hair, shot.rest_identity, HAIR)
            drawable.dynamic.write(attributes.astype("f4").tobytes())
            drawable.cached_for = key
        self._render(drawable, HAIR, look.hair_tint, wardrobe.hair)
