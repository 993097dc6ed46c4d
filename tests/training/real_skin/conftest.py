"""Fixtures: the head mesh, and a renderer of actions where OpenGL exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.synthesis.head_mesh import HeadMesh, RenderMesh, build_render_mesh, load_head


@pytest.fixture(scope="session")
def head(shared: Path) -> HeadMesh:
    return load_head(shared / "data")


@pytest.fixture(scope="session")
def mesh(head: HeadMesh) -> RenderMesh:
    return build_render_mesh(head.vertex_count, head.quads, head.corner_uv, head.uv)
