"""Loads the MakeHuman head mesh with its morph targets and fitted parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

DEFAULT_DATA = Path("../shared/data")
"""Folder with `makehuman_head` and `facshuman_targets`, relative to the repository root."""

FACE_ISLAND, NECK_ISLAND, MOUTH_ISLAND, SOCKET_ISLAND = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class FittedPart:
    """A mesh bound to the head (eyes, teeth, brows, hair).

    Each vertex is a weighted sum of three head vertices plus an offset.
    """

    ref: IntArray  # [V, 3] head vertices
    weight: FloatArray  # [V, 3]
    offset: FloatArray  # [V, 3] decimeters
    quads: IntArray  # [Q, 4] into V
    corner_uv: IntArray  # [Q, 4] into uv
    uv: FloatArray  # [T, 2], origin at the bottom left

    def fit(self, vertices: FloatArray) -> FloatArray:
        """Returns part vertices [V, 3] for head vertices [N, 3], decimeters."""
        bound: FloatArray = np.einsum("vk,vkc->vc", self.weight, vertices[self.ref])
        return bound + self.offset


@dataclass(frozen=True, slots=True)
class HeadMesh:
    """Head geometry in decimeters: x to the subject's left, y up, z out of the face."""

    base: FloatArray  # [N, 3]
    quads: IntArray  # [Q, 4] into N
    corner_uv: IntArray  # [Q, 4] into uv
    uv: FloatArray  # [T, 2]
    # name -> vertices [K], deltas [K, 3] decimeters
    targets: dict[str, tuple[NDArray[np.int64], FloatArray]]
    parts: dict[str, FittedPart]
    texture_dir: Path

    @property
    def vertex_count(self) -> int:
        return len(self.base)

    def displace(self, weights: dict[str, float]) -> FloatArray:
        """Returns the weighted sum of targets as displacements [N, 3] in decimeters.

        Raises KeyError for an unknown target name.
        """
        displacement = np.zeros_like(self.base)
        for name, weight in weights.items():
            if weight == 0.0:
                continue
            index, delta = self.targets[name]
            displacement[index] += np.float32(weight) * delta
        return displacement


def _read_targets(
    names: NDArray[np.str_],
    start: NDArray[np.int64],
    index: NDArray[np.uint16],
    delta: NDArray[np.float16],
    prefix: str,
) -> dict[str, tuple[NDArray[np.int64], FloatArray]]:
    return {
        prefix + str(name): (
            index[start[i] : start[i + 1]].astype(np.int64),
            delta[start[i] : start[i + 1]].astype(np.float32),
        )
        for i, name in enumerate(names)
    }


_BULGE_XY = (0.35, 7.04)
_BULGE_SIGMA = (0.15, 0.075)
_BULGE_OFFSET = (0.0, 0.055, 0.055)
_BULGE_LID_Y = (7.20, 7.12)  # the lower lid itself does not move


def _cheek_bulge(base: FloatArray, quads: IntArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Returns a target for the pads of raised cheeks, fading out at the lower lid."""
    offset = (
        (np.abs(base[:, 0]) - _BULGE_XY[0]) / _BULGE_SIGMA[0],
        (base[:, 1] - _BULGE_XY[1]) / _BULGE_SIGMA[1],
    )
    weight = np.exp(-0.5 * (offset[0] ** 2 + offset[1] ** 2))
    weight *= np.clip((_BULGE_LID_Y[0] - base[:, 1]) / (_BULGE_LID_Y[0] - _BULGE_LID_Y[1]), 0, 1)
    weight[base[:, 2] < 0.9] = 0.0
    index = np.intersect1d(np.flatnonzero(weight > 0.02), quads)
    return index, (weight[index, None] * np.array(_BULGE_OFFSET)).astype(np.float32)


_LID_XY = (0.325, 7.172)
_LID_SIGMA = (0.075, 0.021)
_LID_OFFSET = (0.0, 0.012, 0.034)
_LID_CURVATURE = 1.6  # 1/dm, parabola of the lower lid from its center up to both corners


def _lid_bulge(base: FloatArray, quads: IntArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Returns a target for the bulge of tightened lower lids (FACS manual, AU7)."""
    along = np.abs(base[:, 0]) - _LID_XY[0]
    across = base[:, 1] - (_LID_XY[1] + _LID_CURVATURE * along**2)
    weight = np.exp(-0.5 * ((along / _LID_SIGMA[0]) ** 2 + (across / _LID_SIGMA[1]) ** 2))
    weight[base[:, 2] < 1.3] = 0.0  # the inside of the lid and the socket
    index = np.intersect1d(np.flatnonzero(weight > 0.02), quads)
    return index, (weight[index, None] * np.array(_LID_OFFSET)).astype(np.float32)


@lru_cache(maxsize=2)
def load_head(data_dir: Path = DEFAULT_DATA, *, with_facs: bool = True) -> HeadMesh:
    """Loads the head.

    FACSHuman targets get the prefix `facs/`; without them the result is CC0 only.
    """
    head_dir = data_dir / "makehuman_head"
    with np.load(head_dir / "mh_head.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    targets = _read_targets(
        arrays["t_names"], arrays["t_start"], arrays["t_index"], arrays["t_delta"], ""
    )
    if with_facs:
        with np.load(data_dir / "facshuman_targets" / "facshuman_targets.npz") as stored:
            facs = _read_targets(
                stored["names"], stored["start"], stored["index"], stored["delta"], "facs/"
            )
        targets.update({"facs/" + name.rsplit("/", 1)[-1]: value for name, value in facs.items()})
    targets["custom/lid_bulge"] = _lid_bulge(arrays["base"], arrays["quads"])
    targets["custom/cheek_bulge"] = _cheek_bulge(arrays["base"], arrays["quads"])
    part_names = sorted(
        {name[3:-4] for name in arrays if name.startswith("px_") and name.endswith("_ref")}
    )
    parts = {
        name: FittedPart(
            ref=arrays[f"px_{name}_ref"],
            weight=arrays[f"px_{name}_w"],
            offset=arrays[f"px_{name}_off"],
            quads=arrays[f"px_{name}_quads"],
            corner_uv=arrays[f"px_{name}_quads_uv"],
            uv=arrays[f"px_{name}_uv"],
        )
        for name in part_names
    }
    return HeadMesh(
        base=arrays["base"],
        quads=arrays["quads"],
        corner_uv=arrays["quads_uv"],
        uv=arrays["uv"],
        targets=targets,
        parts=parts,
        texture_dir=head_dir / "textures",
    )


def uv_island(uv: FloatArray) -> IntArray:
    """Returns the UV island of each UV point [T, 2] of the skin, from its position in the map."""
    u, v = uv[:, 0], uv[:, 1]
    island = np.full(len(uv), FACE_ISLAND, np.int32)
    island[(v < 0.14) & (u > 0.7)] = MOUTH_ISLAND
    island[u < 0.16] = SOCKET_ISLAND
    island[(v > 0.82) & (u < 0.6)] = NECK_ISLAND
    return island


@dataclass(frozen=True, slots=True)
class RenderMesh:
    """Triangles over unique (vertex, UV) pairs, with the adjacency for smooth normals."""

    source: IntArray  # [R] mesh vertex of each render vertex
    uv: FloatArray  # [R, 2]
    triangles: IntArray  # [T, 3] into R
    faces: IntArray  # [Q, 4] mesh quads, for normals
    incident: IntArray  # [V, K] faces around each mesh vertex, padded with Q
    neighbors: IntArray  # [V, K] vertices next to each mesh vertex, padded with the vertex itself


def build_render_mesh(
    vertex_count: int, quads: IntArray, corner_uv: IntArray, uv: FloatArray
) -> RenderMesh:
    """Splits quads into triangles over unique (vertex, UV) pairs."""
    pairs = np.stack([quads.ravel(), corner_uv.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    corners = inverse.reshape(-1, 4)
    triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    incident: list[list[int]] = [[] for _ in range(vertex_count)]
    neighbors: list[set[int]] = [set() for _ in range(vertex_count)]
    for face, quad in enumerate(quads):
        for k in range(4):
            incident[quad[k]].append(face)
            neighbors[quad[k]].update((int(quad[k - 1]), int(quad[(k + 1) % 4])))
    return RenderMesh(
        source=unique[:, 0].astype(np.int32),
        uv=uv[unique[:, 1]].astype(np.float32),
        triangles=triangles.astype(np.int32),
        faces=quads.astype(np.int32),
        incident=_pad(incident, [len(quads)] * vertex_count),
        neighbors=_pad([sorted(row) for row in neighbors], list(range(vertex_count))),
    )


def _pad(rows: list[list[int]], fill: list[int]) -> IntArray:
    width = max(1, max(len(row) for row in rows))
    table = np.empty((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
        table[i, len(row) :] = fill[i]
    return table


def vertex_normals(mesh: RenderMesh, vertices: FloatArray) -> FloatArray:
    """Returns area-weighted unit normals [V, 3] of vertices [V, 3]."""
    corner = vertices[mesh.faces]
    normals = np.zeros((len(mesh.faces) + 1, 3), np.float32)
    normals[:-1] = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1])
    summed: FloatArray = normals[mesh.incident].sum(axis=1)
    lengths: FloatArray = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.asarray(summed / np.maximum(lengths, 1e-9), np.float32)


def concavity(mesh: RenderMesh, vertices: FloatArray, normals: FloatArray) -> FloatArray:
    """Returns the mean slope [V] from each vertex up to its neighbors; folds are positive."""
    offset = vertices[mesh.neighbors].mean(axis=1) - vertices
    distance = np.linalg.norm(vertices[mesh.neighbors[:, 0]] - vertices, axis=1) + 1e-4
    rise: FloatArray = np.einsum("vc,vc->v", offset, normals)
    return np.asarray(rise / distance)
