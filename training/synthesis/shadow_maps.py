"""Shadow maps: depth of the head from its lights, for shadows of nose, brows and chin."""

from __future__ import annotations

from typing import Final

import moderngl
import numpy as np

from training.synthesis.camera import PIVOT
from training.synthesis.head_mesh import FloatArray
from training.synthesis.shaders import DEPTH_FRAGMENT, DEPTH_VERTEX

SHADOW_PX: Final[int] = 192

SHADOW_HALF_DM: Final[float] = 1.35
"""Half the side of the area covered by a shadow map."""

SHADOW_DEPTH_DM: Final[float] = 2.5

SHADOW_UNIT: Final[int] = 5
"""Texture unit of the first map."""

_TO_TEXTURE: Final = np.array(
    [[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1]], np.float32
)


def light_matrix(direction: FloatArray, center: FloatArray) -> FloatArray:
    """Returns the orthographic projection [4, 4] of a light.

    Args:
        direction: Direction [3] towards the light, camera axes.
        center: Center [3] of the covered volume in decimeters.
    """
    forward = direction / np.linalg.norm(direction)
    up = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, forward)
    right /= np.linalg.norm(right)
    reach = np.array([[SHADOW_HALF_DM], [SHADOW_HALF_DM], [SHADOW_DEPTH_DM]])
    rows = np.stack([right, np.cross(forward, right), -forward]) / reach
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = rows
    matrix[:3, 3] = -rows @ center
    return matrix


class ShadowMaps:
    """Shadow maps of the key light and of the sky, bound to texture units from SHADOW_UNIT on."""

    def __init__(
        self, context: moderngl.Context, vertices: moderngl.Buffer, index: moderngl.Buffer
    ) -> None:
        """Creates both maps.

        `vertices` has rows of eight floats that start with the position, `index` int32 triangles.
        """
        self._program = context.program(vertex_shader=DEPTH_VERTEX, fragment_shader=DEPTH_FRAGMENT)
        head_to_light = self._program["head_to_light"]
        if not isinstance(head_to_light, moderngl.Uniform):
            raise TypeError("expected head_to_light to be a uniform")
        self._head_to_light = head_to_light
        self._maps: list[moderngl.Framebuffer] = []
        for k in range(2):
            depth = context.depth_texture((SHADOW_PX, SHADOW_PX))
            depth.compare_func = "<="
            depth.filter = (moderngl.LINEAR, moderngl.LINEAR)
            depth.repeat_x = depth.repeat_y = False
            depth.use(SHADOW_UNIT + k)
            self._maps.append(context.framebuffer(depth_attachment=depth))
        self._mesh = context.vertex_array(
            self._program, [(vertices, "3f 20x", "position")], index_buffer=index
        )

    def cast(
        self,
        head_to_camera: FloatArray,
        directions: tuple[FloatArray, FloatArray],
        strengths: tuple[float, float],
    ) -> FloatArray:
        """Renders both maps; returns column-major camera to texture transforms [2, 4, 4].

        A light with shadow strength 0 is not rendered.
        """
        rotation = np.eye(4, dtype=np.float32)
        rotation[:3, :3] = head_to_camera
        matrices = []
        for target, direction, strength in zip(self._maps, directions, strengths, strict=True):
            camera_to_light = light_matrix(direction, head_to_camera @ PIVOT)
            self._head_to_light.write((camera_to_light @ rotation).T.astype("f4").tobytes())
            target.use()
            target.clear(depth=1.0)
            if strength > 0:
                self._mesh.render()
            matrices.append((_TO_TEXTURE @ camera_to_light).T)
        return np.stack(matrices).astype(np.float32)
