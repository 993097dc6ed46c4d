"""The MakeHuman head, its targets and its fitted parts, read once from the data folder."""

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
    """A mesh whose vertices are weighted sums of three head vertices plus an offset (eyes, teeth,
    brows, hair).
    """

    ref: IntArray  # [V, 3] head vertices
    weight: FloatArray  # [V, 3]
    offset: FloatArray  # [V, 3] decimetres
    quads: IntArray  # [Q, 4] into V
    corner_uv: IntArray  # [Q, 4] into uv
    uv: FloatArray  # [T, 2], origin at the bottom left

    def fit(self, vertices: FloatArray) -> FloatArray:
        """Part vertices [V, 3] on head vertices [N, 3], decimetres."""
        return np.einsum("vk,vkc->vc", self.weight, vertices[self.ref]) + self.offset


@dataclass(frozen=True, slots=True)
class HeadMesh:
    """Head geometry in decimetres: x to the subject's left, y up, z out of the face."""

    base: FloatArray  # [N, 3]
    quads: IntArray  # [Q, 4] into N
    corner_uv: IntArray  # [Q, 4] into uv
    uv: FloatArray  # [T, 2]
    targets: dict[
        str, tuple[NDArray[np.int64], FloatArray]
    ]  # name -> vertices [K], deltas [K, 3] decimetres
    parts: dict[str, FittedPart]
    texture_dir: Path

    @property
    def vertex_count(self) -> int:
        return len(self.base)

    def displace(self, weights: dict[str, float]) -> FloatArray:
        """Sum of weighted targets as displacements [N, 3] in decimetres; an unknown name is an
        error.
        """
        moved = np.zeros_like(self.base)
        for name, weight in weights.items():
            if weight == 0.0:
                continue
            index, delta = self.targets[name]
            moved[index] += np.float32(weight) * delta
        return moved


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


_BULGE_XY, _BULGE_SPREAD, _BULGE_MOVE = (0.35, 7.04), (0.15, 0.075), (0.0, 0.055, 0.055)
_BULGE_LID_Y = (7.20, 7.12)  # the lower lid itself stays


def _cheek_bulge(base: FloatArray, quads: IntArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The pad of a raised cheek below both eyes, as a target: up and forwards, fading out at the
    lower lid.
    """
    offset = (
        (np.abs(base[:, 0]) - _BULGE_XY[0]) / _BULGE_SPREAD[0],
        (base[:, 1] - _BULGE_XY[1]) / _BULGE_SPREAD[1],
    )
    share = np.exp(-0.5 * (offset[0] ** 2 + offset[1] ** 2))
    share *= np.clip((_BULGE_LID_Y[0] - base[:, 1]) / (_BULGE_LID_Y[0] - _BULGE_LID_Y[1]), 0, 1)
    share[base[:, 2] < 0.9] = 0.0
    index = np.intersect1d(np.flatnonzero(share > 0.02), quads)
    return index, (share[index, None] * np.array(_BULGE_MOVE)).astype(np.float32)


_LID_XY, _LID_SPREAD, _LID_MOVE = (0.325, 7.172), (0.075, 0.021), (0.0, 0.012, 0.034)
_LID_RISE = 1.6  # 1/dm: how the lower lid climbs from its middle to both corners, as a parabola


def _lid_bulge(base: FloatArray, quads: IntArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The roll of a tightened lower lid (FACS manual, AU7: the lid bulges) under both eyes, as a
    target.
    """
    along = np.abs(base[:, 0]) - _LID_XY[0]
    across = base[:, 1] - (_LID_XY[1] + _LID_RISE * along**2)
    share = np.exp(-0.5 * ((along / _LID_SPREAD[0]) ** 2 + (across / _LID_SPREAD[1]) ** 2))
    share[base[:, 2] < 1.3] = 0.0  # the inside of the lid and the socket
    index = np.intersect1d(np.flatnonzero(share > 0.02), quads)
    return index, (share[index, None] * np.array(_LID_MOVE)).astype(np.float32)


@lru_cache(maxsize=2)
def load_head(data_dir: Path = DEFAULT_DATA, *, with_facs: bool = True) -> HeadMesh:
    """Read the head. FACSHuman targets get the prefix `facs/`; without them the result holds CC0
    parts only.
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
    targets["made/lid_bulge"] = _lid_bulge(arrays["base"], arrays["quads"])
    targets["made/cheek_bulge"] = _cheek_bulge(arrays["base"], arrays["quads"])
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
    """Which piece of the skin's UV map each UV point [T, 2] belongs to, by its place in the map."""
    u, v = uv[:, 0], uv[:, 1]
    island = np.full(len(uv), FACE_ISLAND, np.int32)
    island[(v < 0.14) & (u > 0.7)] = MOUTH_ISLAND
    island[u < 0.16] = SOCKET_ISLAND
    island[(v > 0.82) & (u < 0.6)] = NECK_ISLAND
    return island


@dataclass(frozen=True, slots=True)
class RenderMesh:
    """Triangles over unique (vertex, UV) pairs, and what smooth normals need."""

    source: IntArray  # [R] mesh vertex of each render vertex
    uv: FloatArray  # [R, 2]
    triangles: IntArray  # [T, 3] into R
    faces: IntArray  # [Q, 4] mesh quads, for normals
    incident: IntArray  # [V, K] faces around each mesh vertex, padded with Q
    neighbors: IntArray  # [V, K] vertices next to each mesh vertex, padded with the vertex itself


def build_render_mesh(
    vertex_count: int, quads: IntArray, corner_uv: IntArray, uv: FloatArray
) -> RenderMesh:
    """Split quads into triangles over unique (vertex, UV) pairs."""
    pairs = np.stack([quads.ravel(), corner_uv.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    corners = inverse.reshape(-1, 4)
    triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    around: list[list[int]] = [[] for _ in range(vertex_count)]
    beside: list[set[int]] = [set() for _ in range(vertex_count)]
    for face, quad in enumerate(quads):
        for k in range(4):
            around[quad[k]].append(face)
            beside[quad[k]].update((int(quad[k - 1]), int(quad[(k + 1) % 4])))
    return RenderMesh(
        source=unique[:, 0].astype(np.int32),
        uv=uv[unique[:, 1]].astype(np.float32),
        triangles=triangles.astype(np.int32),
        faces=quads.astype(np.int32),
        incident=_padded([list(a) for a in around], [len(quads)] * vertex_count),
        neighbors=_padded([sorted(b) for b in beside], list(range(vertex_count))),
    )


def _padded(rows: list[list[int]], fill: list[int]) -> IntArray:
    width = max(1, max(len(row) for row in rows))
    table = np.empty((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
        table[i, len(row) :] = fill[i]
    return table


def vertex_normals(mesh: RenderMesh, vertices: FloatArray) -> FloatArray:
    """Area-weighted unit normals [V, 3] of vertices [V, 3]."""
    corner = vertices[mesh.faces]
    normals = np.zeros((len(mesh.faces) + 1, 3), np.float32)
    normals[:-1] = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1])
    summed = normals[mesh.incident].sum(axis=1)
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9)


def concavity(mesh: RenderMesh, vertices: FloatArray, normals: FloatArray) -> FloatArray:
    """How far the neighbors stand above each vertex along its normal, as a slope [V]; folds are
    positive.
    """
    offset = vertices[mesh.neighbors].mean(axis=1) - vertices
    reach = np.linalg.norm(vertices[mesh.neighbors[:, 0]] - vertices, axis=1) + 1e-4
    return np.einsum("vc,vc->v", offset, normals) / reach
