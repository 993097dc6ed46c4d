"""Selection of a source by its address."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.sources import SourceError, expand_sources, open_source


def test_open_source_with_missing_file_or_unknown_scheme_raises_source_error() -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source("missing.mp4")
    with pytest.raises(SourceError, match="unknown scheme gopher://"):
        open_source("gopher://host/clip.mp4")


def test_open_source_with_missing_camera_raises_source_error_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SourceError, match="check that the camera is plugged in"):
        open_source("v4l2:///dev/video97")
    with pytest.raises(SourceError, match="three slashes"):
        open_source("v4l2://video0")
    assert capfd.readouterr().err == ""


def test_expand_sources_expands_patterns_of_videos_only(tmp_path: Path) -> None:
    for name in ("b10.mp4", "b2.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "a.png").touch()
    videos, images = str(tmp_path / "*.mp4"), str(tmp_path / "*.png")
    assert expand_sources([videos, images, "0", images]) == [
        str(tmp_path / "b2.mp4"),
        str(tmp_path / "b10.mp4"),
        images,
        "0",
    ]
