"""Fixtures of the synthesis tests."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def renderer(shared) -> Any:
    """Renderer of 96 px faces; skips without the head mesh or OpenGL."""
    pytest.importorskip("moderngl")
    from training.synthesis.face_renderer import FaceRenderer
    from training.synthesis.head_mesh import load_head

    data = shared / "data"
    if not (data / "makehuman_head").is_dir():
        pytest.skip(f"no head mesh in {data}")
    try:
        return FaceRenderer(load_head(data), 96, data)
    except Exception as error:  # moderngl raises bare Exception without a GL driver
        pytest.skip(f"no OpenGL context: {error}")
