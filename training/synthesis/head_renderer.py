"""Renders one head off-screen with OpenGL through EGL, which also runs on a CPU (llvmpipe)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

# One core per worker: more processes are faster than more llvmpipe threads. Set before moderngl
# loads the driver.
os.environ.setdefault("LP_NUM_THREADS", "1")

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from training.synthesis.draw_call import DrawCall
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
LIPS_Z = 1.55  # base mesh decimeters
LIPS_UPPER = (474, 2717)
LIPS_LOWER = (493, 2727)
CLOSED_DM = 0.012
"""Lips closer than this hide the teeth, which are then not drawn."""

SKIN, EYE, MOUTH, HAIR = 0, 1, 2, 3

REGION_NAMES = ("background", "face", "eyes", "mouth", "hair", "neck")
"""Classes of a region map: `face` with brows and lashes, `mouth` inside only, `neck` with ears."""

REGION_FACE, REGION_EYES, REGION_MOUTH, REGION_HAIR = 1, 2, 3, 4

_LIGHT_UNIFORMS = ("light_dir", "light_rgb", "sky_rgb", "ground_rgb", "skin")
_MATERIAL_UNIFORMS = ("stubble", "shirt_rgb", "lip_red", "fold_blur")


@dataclass(slots=True)
class _Drawable:
    mesh: RenderMesh
    dynamic: moderngl.Buffer
    static: moderngl.Buffer
    index: moderngl.Buffer
    vertex_arrays: dict[tuple[int, bool], moderngl.VertexArray] = field(default_factory=dict)
    cached_for: bytes | None = field(default=None)


def _scalp_weight(head: HeadMesh) -> FloatArray:
    """Returns the weight [N] of each vertex in the scalp, 0..1."""
    x, y, z = head.base.T
    top = np.clip((y - 7.92) / 0.12, 0, 1)
    back = np.clip((0.72 - z) / 0.15, 0, 1) * np.clip((y - 7.0) / 0.15, 0, 1)
    ear = (np.abs(x) > 0.70) & (y < 7.5)
    return np.where(ear, 0.0, np.maximum(top, back)).astype(np.float32)


def _lash_lids(head: HeadMesh) -> NDArray[np.int64]:
    """Returns the lid edge vertex nearest to each eyelash vertex [V]."""
    island = uv_island(head.uv)[head.corner_uv]
    socket = np.unique(head.quads[island == SOCKET_ISLAND])
    edge = np.intersect1d(socket, np.unique(head.quads[island == FACE_ISLAND]))
    lashes = head.parts["eyelashes"].fit(head.base)
    distance = np.linalg.norm(lashes[:, None] - head.base[edge], axis=2)
    return np.asarray(edge[distance.argmin(axis=1)], np.int64)


def _uniform(program: moderngl.Program, name: str) -> moderngl.Uniform:
    """Returns a uniform that the program is known to have."""
    member = program[name]
    if not isinstance(member, moderngl.Uniform):
        raise TypeError(f"expected {name} to be a uniform, got {type(member).__name__}")
    return member


class HeadRenderer:
    """Draws heads; keeps meshes and textures in GL memory."""

    def __init__(self, head: HeadMesh, size_px: int) -> None:
        self.head = head
        self.size_px = size_px
        self.context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
        self._programs = {
            (kind, draws_regions): self.context.program(
                vertex_shader=VERTEX,
                fragment_shader=fragment_source(kind, draws_regions=draws_regions),
            )
            for kind in (SKIN, EYE, MOUTH, HAIR)
            for draws_regions in (False, True)
        }
        inner_px = round(size_px * SUPERSAMPLING)
        self._frame = self.context.simple_framebuffer((inner_px, inner_px), components=4)
        self._region_frame = self.context.simple_framebuffer((size_px, size_px), components=4)
        # (mesh, kind, region, texture) of the last image
        self._draw_list: list[tuple[_Drawable, int, int, str]] = []
        self._textures: dict[str, moderngl.Texture] = {}
        self._drawables: dict[str, _Drawable] = {}
        self._bind_skin_maps()
        skin = self._drawable("skin")
        self._shadows = ShadowMaps(self.context, skin.dynamic, skin.index)
        self._set_unit("shadow_map", SHADOW_UNIT)
        self._scalp_weights = _scalp_weight(head)
        self._lash_lid = _lash_lids(head)
        self._neutral_folds_cache: tuple[bytes, FloatArray] | None = None

    def draw(self, draw_call: DrawCall) -> NDArray[np.float32]:
        """Draws a head as premultiplied RGBA [S, S, 4] in 0..1, gamma-encoded, top row first."""
        frame = self._frame
        frame.use()
        frame.clear(0.0, 0.0, 0.0, 0.0)
        self.context.enable(moderngl.DEPTH_TEST | moderngl.BLEND)
        self.context.blend_func = (  # type: ignore[assignment]  # the stubs lack separate alpha
            moderngl.SRC_ALPHA,
            moderngl.ONE_MINUS_SRC_ALPHA,
            moderngl.ONE,
            moderngl.ONE_MINUS_SRC_ALPHA,
        )
        self._set_uniforms(draw_call)
        self._draw_list.clear()
        self._draw_skin(draw_call)
        self._draw_inner_parts(draw_call)
        self._draw_hairy_parts(draw_call)
        raw = np.frombuffer(frame.read(components=4, dtype="f1"), np.uint8)
        image = raw.reshape(frame.height, frame.width, 4)[::-1]
        small = cv2.resize(image, (self.size_px, self.size_px), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / 255.0

    def draw_regions(self) -> NDArray[np.uint8]:
        """Draws the region map [S, S] of the last image, indices of REGION_NAMES, top row first."""
        self._region_frame.use()
        self._region_frame.clear(0.0, 0.0, 0.0, 0.0)
        self.context.disable(moderngl.BLEND)
        self._set("alpha_range", np.array([0.5, 2.0], np.float32))
        for drawable, kind, region, texture in self._draw_list:
            _uniform(self._programs[kind, True], "region").value = region
            self._texture(texture).use(0)
            self._vertex_array(drawable, kind, draws_regions=True).render()
        raw = np.frombuffer(self._region_frame.read(components=4, dtype="f1"), np.uint8)
        return np.ascontiguousarray(raw.reshape(self.size_px, self.size_px, 4)[::-1, :, 0])

    def _set_uniforms(self, draw_call: DrawCall) -> None:
        camera, appearance = draw_call.camera, draw_call.appearance
        self._set("head_to_clip", camera.head_to_clip.T)
        self._set("head_to_camera", camera.head_to_camera.T)
        self._set("view_offset", camera.view_offset)
        for source, names in (
            (appearance, _LIGHT_UNIFORMS),
            (appearance.materials, _MATERIAL_UNIFORMS),
            (draw_call, ("wrinkle_left", "wrinkle_right")),
        ):
            for name in names:
                self._set(name, getattr(source, name))

    def _set(self, name: str, value: FloatArray | float | tuple[float, ...]) -> None:
        """Sets a float uniform in every program that has it."""
        data = np.asarray(value, np.float32).tobytes()
        for program in self._programs.values():
            member = program.get(name, None)
            if isinstance(member, moderngl.Uniform):
                member.write(data)

    def _set_unit(self, name: str, unit: int) -> None:
        """Binds a sampler to a texture unit in every program that has it."""
        for program in self._programs.values():
            member = program.get(name, None)
            if isinstance(member, moderngl.Uniform):
                member.value = (
                    unit
                    if member.array_length == 1
                    else list(range(unit, unit + member.array_length))
                )

    def _bind_skin_maps(self) -> None:
        transforms = draw_wrinkle_maps()
        for unit, (name, pixels) in enumerate(
            [*zip("abc", transforms, strict=True), ("stubble", draw_skin_areas())], start=1
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

    def _cast_shadows(self, draw_call: DrawCall) -> None:
        """Renders the shadow maps of the key light and the sky from the uploaded skin vertices."""
        appearance = draw_call.appearance
        directions = (appearance.light_dir[0], appearance.sky_dir)
        head_to_camera = draw_call.camera.head_to_camera
        to_light = self._shadows.cast(head_to_camera, directions, appearance.shadow_strength)
        self._set("camera_to_light", to_light)
        self._set("shadow_strength", appearance.shadow_strength)
        self._set("shadow_softness", appearance.shadow_softness)
        self._frame.use()

    def _upload(self, pixels: NDArray[np.uint8]) -> moderngl.Texture:
        """Uploads an image [H, W, C], top row first, as a mipmapped texture."""
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
                    f"expected {stem}.png or {stem}.jpg in {self.head.texture_dir}, got neither; "
                    "give the data folder with --data"
                )
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image is None:
                raise OSError(f"failed to decode {path}")
            has_alpha = image.shape[2] == 4
            order = cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGB
            self._textures[stem] = self._upload(np.asarray(cv2.cvtColor(image, order), np.uint8))
        return self._textures[stem]

    def _drawable(self, name: str) -> _Drawable:
        if name not in self._drawables:
            head = self.head
            if name == "skin":
                mesh = build_render_mesh(head.vertex_count, head.quads, head.corner_uv, head.uv)
                base = head.base[mesh.source]
            else:
                part = head.parts[name]
                mesh = build_render_mesh(len(part.ref), part.quads, part.corner_uv, part.uv)
                base = np.zeros((len(mesh.source), 3), np.float32)
            static = np.concatenate([mesh.uv, base], axis=1).astype("f4")
            dynamic = self.context.buffer(reserve=len(mesh.source) * 8 * 4, dynamic=True)
            static_buffer = self.context.buffer(static.tobytes())
            index = self.context.buffer(mesh.triangles.astype("i4").tobytes())
            self._drawables[name] = _Drawable(mesh, dynamic, static_buffer, index)
        return self._drawables[name]

    def _vertex_array(
        self, drawable: _Drawable, kind: int, *, draws_regions: bool = False
    ) -> moderngl.VertexArray:
        key = (kind, draws_regions)
        if key not in drawable.vertex_arrays:
            program = self._programs[key]
            layouts = (
                (drawable.dynamic, (("position", 3), ("normal", 3), ("shade", 2))),
                (drawable.static, (("uv", 2), ("base", 3))),
            )
            content = []
            # GLSL compilers remove unused attributes; their bytes are skipped.
            for buffer, attributes in layouts:
                layout = " ".join(
                    f"{n}f" if name in program else f"{4 * n}x" for name, n in attributes
                )
                used = [name for name, _ in attributes if name in program]
                if used:
                    content.append((buffer, layout, *used))
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

    def _render(self, drawable: _Drawable, kind: int, tint: FloatArray, texture: str) -> None:
        _uniform(self._programs[kind, False], "tint").value = tuple(float(c) for c in tint)
        vertex_array = self._vertex_array(drawable, kind)
        region = {EYE: REGION_EYES, MOUTH: REGION_MOUTH}.get(kind, REGION_FACE)
        if kind == HAIR and texture.startswith("hair_"):
            region = REGION_HAIR
        self._draw_list.append((drawable, kind, region, texture))
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

    def _draw_skin(self, draw_call: DrawCall) -> None:
        mesh = self._drawable("skin").mesh
        vertices = draw_call.vertices
        normals = vertex_normals(mesh, vertices)
        folds = np.clip(
            concavity(mesh, vertices, normals) - 0.8 * self._neutral_folds(draw_call), -0.2, 0.22
        )
        if draw_call.assets.hair is not None:  # keeps the scalp below the hair
            vertices = vertices - self._scalp_weights[:, None] * 0.06 * normals
        island = uv_island(mesh.uv)
        shade = np.stack(
            [folds[mesh.source], (island != MOUTH_ISLAND) & (island != SOCKET_ISLAND)], axis=1
        )
        attributes = np.concatenate([vertices[mesh.source], normals[mesh.source], shade], axis=1)
        drawable = self._drawable("skin")
        drawable.dynamic.write(attributes.astype("f4").tobytes())
        self._cast_shadows(draw_call)
        tint = draw_call.appearance.materials.skin_tint
        self._render(drawable, SKIN, tint, draw_call.assets.skin)

    def _neutral_folds(self, draw_call: DrawCall) -> FloatArray:
        """Returns the cached concavity [N] of the neutral head.

        Most of it is subtracted, so that mainly folds of the expression darken the skin.
        """
        key = draw_call.neutral_vertices.tobytes()
        if self._neutral_folds_cache is None or self._neutral_folds_cache[0] != key:
            mesh = self._drawable("skin").mesh
            normals = vertex_normals(mesh, draw_call.neutral_vertices)
            self._neutral_folds_cache = (key, concavity(mesh, draw_call.neutral_vertices, normals))
        return self._neutral_folds_cache[1]

    def _part_attributes(
        self, name: str, head_vertices: FloatArray, kind: int, offset: FloatArray | None = None
    ) -> FloatArray:
        """Returns position, normal and shade [R, 8] of a part on head vertices [N, 3].

        `offset` [V, 3] moves the part's vertices.
        """
        mesh = self._drawable(name).mesh
        vertices = self.head.parts[name].fit(head_vertices)
        if offset is not None:
            vertices = vertices + offset
        normals = vertex_normals(mesh, vertices)
        shade = np.ones((len(vertices), 2), np.float32)
        if kind == MOUTH:
            lips_z = float(head_vertices[[455, 496], 2].mean())
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

    def _draw_inner_parts(self, draw_call: DrawCall) -> None:
        white = np.ones(3, np.float32)
        ivory = np.array([2.2, 1.95, 1.7], np.float32)
        parts = [("eyes_low", EYE, draw_call.assets.eyes, white * 0.8)]
        opening = draw_call.vertices[list(LIPS_UPPER), 1] - draw_call.vertices[list(LIPS_LOWER), 1]
        if opening.max() > CLOSED_DM:
            parts += [("teeth", MOUTH, "teeth", ivory), ("tongue", MOUTH, "tongue01", white * 0.8)]
        for name, kind, texture, tint in parts:
            self._draw_part(
                name, kind, tint, texture, self._part_attributes(name, draw_call.vertices, kind)
            )

    def _draw_hairy_parts(self, draw_call: DrawCall) -> None:
        materials, assets = draw_call.appearance.materials, draw_call.assets
        brows = self._part_attributes(assets.brows, draw_call.vertices, HAIR)
        self._draw_part(assets.brows, HAIR, materials.brow_tint, "brow_" + assets.brows, brows)
        lid_offset = (draw_call.vertices - draw_call.neutral_vertices)[
            self._lash_lid
        ]  # lashes follow
        lashes = self._part_attributes("eyelashes", draw_call.neutral_vertices, HAIR, lid_offset)
        self._draw_part("eyelashes", HAIR, materials.brow_tint * 0.6, "eyelashes01", lashes)
        if assets.hair is None:
            return
        drawable = self._drawable(assets.hair)
        key = draw_call.neutral_vertices.tobytes()
        if drawable.cached_for != key:
            attributes = self._part_attributes(assets.hair, draw_call.neutral_vertices, HAIR)
            drawable.dynamic.write(attributes.astype("f4").tobytes())
            drawable.cached_for = key
        self._render(drawable, HAIR, materials.hair_tint, assets.hair)
