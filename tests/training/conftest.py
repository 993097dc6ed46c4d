"""Fixture of the smallest RenderWild, rendered once for tests that need labeled videos."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def renderwild_tiny(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only RenderWild folder of size tiny and seed 1; its tests need the mark `shared`."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}, not found on the PATH")
    moderngl = pytest.importorskip("moderngl")
    try:
        moderngl.create_context(standalone=True, backend="egl").release()
    except Exception as error:  # moderngl raises bare Exception without a GL driver
        pytest.skip(f"needs OpenGL through EGL: {error}")
    from training.synthesis.videos.write_videos import VideoSetConfig, write_videos

    folder = tmp_path_factory.mktemp("renderwild")
    write_videos(VideoSetConfig("tiny", 1), folder, shared / "data", workers=2)
    return folder
