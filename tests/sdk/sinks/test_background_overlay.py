"""Overlays drawn in a background thread."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from faceaffect.drawing.annotator import FaceAnnotator
from faceaffect.sinks import SinkError
from faceaffect.sinks.background_overlay import BackgroundOverlay
from faceaffect.sinks.overlay_video import OverlayVideo
from faceaffect.types import Frame
from tests.sdk.sinks.synthetic_results import synthetic_result


def test_background_overlay_raises_error_of_sink_and_ends_thread(tmp_path: Path) -> None:
    class FailingVideo(OverlayVideo):
        def write(self, frame: Frame, image: np.ndarray) -> None:
            raise SinkError("disk failed")

    overlay = BackgroundOverlay(FailingVideo(tmp_path / "out.mp4", 25), FaceAnnotator())

    def run() -> None:
        for index in range(50):
            overlay.write(*synthetic_result(index))

    with pytest.raises(SinkError, match="disk failed"):
        run()
    with pytest.raises(SinkError, match="disk failed"):
        overlay.close()
    assert "faceaffect-overlay" not in {thread.name for thread in threading.enumerate()}
