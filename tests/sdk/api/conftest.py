"""A short clip, an image and a list of its frames."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from faceaffect import Result, analyze

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"
CLIP_FRAMES = 60


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, trained: None) -> Path:
    """The first two seconds of the demo clip, with a smile at the end; beside it `face.jpg`."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(DEMO)) as original, av.open(str(path), "w") as cut:
        stream = cut.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(original.streams.video[0]):
            if packet.pts is not None and float(packet.pts * packet.time_base) < 2:
                packet.stream = stream
                cut.mux(packet)
    cv2.imwrite(str(path.with_name("face.jpg")), read_frames(path)[-5])
    return path


def read_frames(path: Path) -> list[np.ndarray]:
    """Frames as BGR arrays, read by PyAV."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@pytest.fixture(scope="session")
def frames(clip: Path) -> list[np.ndarray]:
    return read_frames(clip)


@pytest.fixture(scope="session")
def result(clip: Path) -> Result:
    return analyze(clip)
