"""Depth of the head as its lights see it: what lies in the shadow of nose, brows and chin."""

from __future__ import annotations

from typing import Final

import moderngl
import numpy as np

from training.synthesis.camera import PIVOT
from training.synthesis.head_mesh import FloatArray
from training.synthesis.shaders import DEPTH_FRAGMENT, DEPTH_VERTEX

SHADOW_PX: Final[int] = 192

SHADOW_HALF_DM: Final[float] = 1.35
"""Half the side of what a shadow map covers."""

SHADOW_DEPTH_DM: Final[float] = 2.5

SHADOW_UNIT: Final[int] = 5
"""Texture unit of the first map."""

_TO_TEXTURE: Final = np.array(
    [[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1]], np.float32
)


def light_matrix(direction: FloatArray, center: FloatArray) -> FloatArray:
    """Orthographic clip space [4, 4] of a light towards `direction` [3], camera axes, about
    `center` [3]; decimetres.
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
    """Two depth maps, of the key light and of the sky, bound to texture units from SHADOW_UNIT on."""

    def __init__(
        self, context: moderngl.Context, vertices: moderngl.Buffer, index: moderngl.Buffer
    ) -> None:
        """`vertices` holds rows of eight floats that begin with the position, `index` triangles of
        int32.
        """
        self._program = context.program(vertex_shader=DEPTH_VERTEX, fragment_shader=DEPTH_FRAGMENT)
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
        shares: tuple[float, float],
    ) -> FloatArray:
        """Draw both maps; returns maps [2, 4, 4], columns first, from camera axes to texture space.

        A light whose share of shadow is 0 is not drawn.
        """
        turn = np.eye(4, dtype=np.float32)
        turn[:3, :3] = head_to_camera
        matrices = []
        for target, direction, share in zip(self._maps, directions, shares, strict=True):
            camera_to_light = light_matrix(direction, head_to_camera @ PIVOT)
            self._program["head_to_light"].write((camera_to_light @ turn).T.astype("f4").tobytes())
            target.use()
            target.clear(depth=1.0)
            if share > 0:
                self._mesh.render()
            matrices.append((_TO_TEXTURE @ camera_to_light).T)
        return np.stack(matrices).astype(np.float32)
