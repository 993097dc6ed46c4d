"""Draws a moved head with depth test, each pixel carrying its origin in the photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import moderngl
import numpy as np

from training.real_skin.array import Array
from training.synthesis.head_mesh import (
    FACE_ISLAND,
    HeadMesh,
    RenderMesh,
    concavity,
    uv_island,
    vertex_normals,
)

_DEPTH_PX: Final = 4000.0
NOTHING: Final = -1.0

_VERTEX: Final = """#version 330
uniform vec3 view; in vec3 place; in vec3 normal; in vec3 source; in vec4 base;
out vec3 n; out vec3 s; out vec4 b;
void main() {
    gl_Position = vec4(2.0 * place.x / view.x - 1.0, 2.0 * place.y / view.y - 1.0,
                       -place.z / view.z, 1.0);
    n = normal; s = source; b = base;
}"""
_FRAGMENT: Final = """#version 330
uniform float kind; in vec3 n; in vec3 s; in vec4 b;
layout(location = 0) out vec4 o0;
layout(location = 1) out vec4 o1;
layout(location = 2) out vec4 o2;
void main() { o0 = vec4(s, kind); o1 = vec4(normalize(n), 1.0); o2 = b; }"""


@dataclass(frozen=True, slots=True)
class HeadMaps:
    """What each pixel [S, S] of a drawn head shows."""

    source_xy: Array  # [S, S, 2] origin in the photograph, pixels (y down)
    normal: Array  # [S, S, 3] x right, y up, z to the viewer
    base_xy: Array  # [S, S, 2] place on the base head, decimeters
    hollow: Array  # [S, S] concavity
    is_skin: Array  # [S, S] bool: the outer skin is drawn here
    is_hole: Array  # [S, S] bool: mouth or eye socket


class MapRenderer:
    """Holds the GL context, of which a process has one, and the mesh on it."""

    def __init__(self, head: HeadMesh, mesh: RenderMesh, size_px: int) -> None:
        self._head, self._mesh, self._size_px = head, mesh, size_px
        island = uv_island(head.uv)[head.corner_uv][:, 0]
        triangles = np.concatenate([head.quads[:, [0, 1, 2]], head.quads[:, [0, 2, 3]]])
        kinds = np.concatenate([island, island])
        self._context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
        self._program: Any = self._context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        size = (size_px, size_px)
        colors = [self._context.texture(size, 4, dtype="f4") for _ in range(3)]
        self._frame = self._context.framebuffer(colors, self._context.depth_renderbuffer(size))
        self._buffer = self._context.buffer(reserve=len(head.base) * 13 * 4, dynamic=True)
        layout = [(self._buffer, "3f 3f 3f 4f", "place", "normal", "source", "base")]
        self._arrays = [
            (
                float(kind),
                self._context.vertex_array(
                    self._program,
                    layout,
                    index_buffer=self._context.buffer(
                        triangles[kinds == kind].astype("i4").tobytes()
                    ),
                ),
            )
            for kind in np.unique(kinds)
        ]

    def draw(self, moved: Array, rest: Array) -> HeadMaps:
        """Draws vertices `moved` [N, 3], whose skin is at `rest` [N, 3] in the photograph.

        Both in camera axes: pixels, x right, y up from 0 at the photograph's first row.
        """
        place, source = self._to_view(moved), self._to_view(rest)
        normal = vertex_normals(self._mesh, place.astype(np.float32))
        hollow = concavity(self._mesh, place.astype(np.float32), normal)
        depth = place[:, 2:] - place[:, 2].mean()
        data = np.concatenate(
            [place[:, :2], depth, normal, source, self._head.base, hollow[:, None]], axis=1
        )
        self._buffer.write(np.ascontiguousarray(data, "f4").tobytes())
        self._frame.use()
        self._context.enable(moderngl.DEPTH_TEST)
        self._frame.clear(0.0, 0.0, 0.0, NOTHING, depth=1.0)
        self._program["view"].value = (self._size_px, self._size_px, _DEPTH_PX)
        for kind, array in self._arrays:
            self._program["kind"].value = kind
            array.render()
        source_map, normal_map, base_map = (self._read(k) for k in range(3))
        kinds = source_map[..., 3]
        return HeadMaps(
            source_xy=np.stack(
                [source_map[..., 0] - 0.5, self._size_px - source_map[..., 1] - 0.5], axis=-1
            ),
            normal=normal_map[..., :3],
            base_xy=base_map[..., :2],
            hollow=base_map[..., 3],
            is_skin=np.asarray(kinds == FACE_ISLAND),
            is_hole=np.asarray(kinds > FACE_ISLAND + 1),
        )

    def _to_view(self, camera: Array) -> Array:
        return np.asarray(camera + np.array([0.5, self._size_px - 0.5, 0.0]))

    def _read(self, attachment: int) -> Array:
        raw = self._frame.read(components=4, attachment=attachment, dtype="f4")
        return np.frombuffer(raw, np.float32).reshape(self._size_px, self._size_px, 4)[::-1]
