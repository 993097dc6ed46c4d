"""Fits the head mesh to the landmark teacher's points of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from training.labeling.mediapipe_teacher import LANDMARKS_68
from training.real_skin.array import Array
from training.synthesis.head_mesh import HeadMesh
from training.synthesis.identity import sample_identity
from training.synthesis.landmark_vertices import landmark_vertices
from training.synthesis.mesh_points import load_mesh_points

COMPONENTS: Final = 45
_PEOPLE: Final = 320
_SHAPE_SEED: Final = 77
_ROUNDS: Final = 6
_RIDGE: Final = 0.02
_AXIS_WEIGHT: Final = np.array([1.0, 1.0, 0.35])  # the teacher's depth is rough
_JAW_WEIGHT, _BROW_WEIGHT = 0.15, 0.8
_JAW_COUNT, _JAW_AND_BROWS = 17, 27
_SMOOTHING: Final = 0.004  # lips that touch would fold with less
_CARRY_SMOOTHING: Final = 0.01
_SIZE_RANGE: Final = (0.6, 1.6)  # of a carried displacement, relative to the rigid one


class LinearSpline:
    """Smoothing radial basis functions -r with a linear polynomial, in three dimensions."""

    def __init__(self, points: Array, values: Array, smoothing: Array | float) -> None:
        """Fits values [K, C] at points [K, 3]; `smoothing` [K] or a number is on the diagonal."""
        count = len(points)
        self._points = points
        kernel = -_distances(points, points)
        kernel[np.diag_indices(count)] += smoothing
        linear = np.concatenate([np.ones((count, 1)), points], axis=1)
        system = np.block([[kernel, linear], [linear.T, np.zeros((4, 4))]])
        right = np.concatenate([values, np.zeros((4, values.shape[1]))])
        self._weights = np.linalg.solve(system, right)

    def __call__(self, at: Array) -> Array:
        """Returns values [M, C] at points [M, 3]."""
        linear = np.concatenate([np.ones((len(at), 1)), at], axis=1)
        count = len(self._points)
        return np.asarray(
            linear @ self._weights[count:] - _distances(at, self._points) @ self._weights[:count]
        )


def _distances(a: Array, b: Array) -> Array:
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(square, 0)))


@dataclass(frozen=True, slots=True)
class ShapeModel:
    """Mean head [N, 3], principal shapes [K, N, 3] and their standard deviations [K]."""

    mean: Array
    basis: Array
    spread: Array


def load_shape_model(head: HeadMesh, cache: Path) -> ShapeModel:
    """Loads the statistics of the renderer's random people from `cache`, or makes them there."""
    if not cache.exists():
        people = np.stack(
            [
                sample_identity(head, np.random.default_rng([_SHAPE_SEED, i]), i).vertices
                for i in range(_PEOPLE)
            ]
        )
        mean = people.mean(axis=0)
        flat = (people - mean).reshape(_PEOPLE, -1)
        _, size, basis = np.linalg.svd(flat, full_matrices=False)
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_name("partial_" + cache.name)
        np.savez(
            partial,
            mean=mean,
            basis=basis[:COMPONENTS].reshape(COMPONENTS, -1, 3).astype(np.float32),
            spread=size[:COMPONENTS] / np.sqrt(_PEOPLE),
        )
        partial.replace(cache)
    with np.load(cache, allow_pickle=False) as stored:
        return ShapeModel(stored["mean"], stored["basis"], stored["spread"])


@dataclass(frozen=True, slots=True)
class Fit:
    """A head on a photograph. Camera axes: x right, y up, z to the viewer, pixels."""

    rest: Array  # [N, 3]
    rotation: Array  # [3, 3] head to camera
    scale: float  # pixels per decimeter
    spline: LinearSpline  # base decimeters to camera
    base_in_camera: Array  # [N, 3] the spline at the base vertices
    error_px: float  # median distance of the shape model to the points, before bending


class HeadFitter:
    """Correspondence of the teacher's points with vertices, and the shape model."""

    def __init__(self, head: HeadMesh, cache: Path) -> None:
        points = load_mesh_points(head)
        marks = landmark_vertices(head)[:_JAW_AND_BROWS]
        self.numbers = np.concatenate(
            [points.numbers[:-2], np.array(LANDMARKS_68)[:_JAW_AND_BROWS]]
        )
        self.vertices = np.concatenate([points.vertices, marks])
        contour = np.where(np.arange(_JAW_AND_BROWS) < _JAW_COUNT, _JAW_WEIGHT, _BROW_WEIGHT)
        self._weight = np.concatenate([np.ones(len(points.vertices)), contour])
        self._head = head
        self._model = load_shape_model(head, cache)
        self._columns = self._model.basis[:, self.vertices].astype(np.float64)

    def fit(self, points_xyz: Array) -> Fit:
        """Fits pose and shape to points [478, 3] in pixels (y down, z away from the viewer)."""
        goal = points_xyz[self.numbers].astype(np.float64) * np.array([1, -1, -1])
        shape, scale, rotation, shift = self._pose_and_shape(goal)
        camera = scale * shape @ rotation.T + shift
        error_px = float(np.median(np.linalg.norm((camera[self.vertices] - goal)[:, :2], axis=1)))
        offset = goal - camera[self.vertices]
        offset[:, 2] = 0.0
        first = np.unique(self.vertices, return_index=True)[1]
        bend = LinearSpline(
            shape[self.vertices][first], offset[first], _SMOOTHING / self._weight[first]
        )
        fade = np.clip((shape[:, 2] + 0.1) / 0.4, 0, 1)[:, None]  # the back of the head stays
        rest = camera + fade * bend(shape)
        at = self.vertices[first]
        base = self._head.base.astype(np.float64)
        spline = LinearSpline(base[at], rest[at], _CARRY_SMOOTHING)
        return Fit(rest, rotation, scale, spline, spline(base), error_px)

    def _pose_and_shape(self, goal: Array) -> tuple[Array, float, Array, Array]:
        mean = self._model.mean.astype(np.float64)
        spread, weight = self._model.spread.astype(np.float64), self._weight
        shape = mean.copy()
        for _ in range(_ROUNDS):
            scale, rotation, shift = similarity(shape[self.vertices], goal, weight)
            residual = (goal - shift) @ rotation / scale - mean[self.vertices]
            turned = np.einsum("kvc,cd->kvd", self._columns, rotation.T) * _AXIS_WEIGHT
            right = (residual @ rotation.T) * _AXIS_WEIGHT
            root = np.sqrt(weight)[:, None]
            a = (turned * root).reshape(len(turned), -1).T * spread
            b = (right * root).ravel()
            coefficients = np.linalg.solve(a.T @ a + _RIDGE * np.eye(a.shape[1]), a.T @ b)
            shape = mean + np.tensordot(coefficients * spread, self._model.basis, axes=1)
        return shape, scale, rotation, shift


def carry(fit: Fit, base: Array, moved: Array) -> Array:
    """Carries a displacement [N, 3] of the base head (decimeters) to the fitted one, in pixels.

    A displaced base point is mapped by the spline from base to photograph, so that the motion
    shrinks where the person's features are close together. Its length stays within 0.6 to 1.6 of
    the rigidly scaled one.
    """
    out = np.zeros_like(fit.rest)
    index = np.flatnonzero(np.linalg.norm(moved, axis=1) > 1e-5)
    if not len(index):
        return out
    rigid = fit.scale * moved[index] @ fit.rotation.T
    carried = fit.spline((base[index] + moved[index]).astype(np.float64))
    carried -= fit.base_in_camera[index]
    size = np.linalg.norm(carried, axis=1) / np.maximum(np.linalg.norm(rigid, axis=1), 1e-6)
    out[index] = carried * (np.clip(size, *_SIZE_RANGE) / np.maximum(size, 1e-6))[:, None]
    return out


def similarity(source: Array, goal: Array, weight: Array) -> tuple[float, Array, Array]:
    """Returns scale, rotation [3, 3] and shift [3] that take source [K, 3] to goal (Umeyama)."""
    w = weight / weight.sum()
    source_mean, goal_mean = w @ source, w @ goal
    a, b = source - source_mean, goal - goal_mean
    u, s, vt = np.linalg.svd((b * w[:, None]).T @ a)
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ flip @ vt
    scale = float((s * np.diag(flip)).sum() / (w @ (a**2).sum(axis=1)))
    return scale, rotation, goal_mean - scale * rotation @ source_mean
