"""Simulated cameras that deliver frames at a fixed rate, read like real ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from faceaffect.bench.workload import ping_pong
from faceaffect.pipeline import Pipeline
from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.display_filter import DecodedFrame
from faceaffect.sources.source import SourceOptions
from faceaffect.types import Frame

# Reader and analysis must both be waiting when the first frame is due.
_START_DELAY_S: Final = 0.05


class SimulatedCapture:
    """Replaces `cv2.VideoCapture`: frame i is available at `due_s[i]` of `time.perf_counter`."""

    def __init__(self, frames: list[Frame], count: int, fps: float) -> None:
        """Start the camera.

        Args:
            frames: Frames to deliver, forwards and backwards in turn.
            count: Number of frames to deliver.
            fps: Frame rate.
        """
        self._frames = frames
        self._fps = fps
        self.due_s = [time.perf_counter() + _START_DELAY_S + index / fps for index in range(count)]
        self.read_s: list[float] = []

    def isOpened(self) -> bool:  # noqa: N802
        """Return whether no frame was read yet."""
        return not self.read_s

    def read(self) -> tuple[bool, Any]:
        """Wait for the next frame, and return whether there is one, and its pixels."""
        index = len(self.read_s)
        if index == len(self.due_s):
            return False, None
        time.sleep(max(0.0, self.due_s[index] - time.perf_counter()))
        self.read_s.append(time.perf_counter())
        frame = ping_pong(self._frames, index)
        if frame.chroma is None:
            return True, frame.pixels
        return True, DecodedFrame(frame.pixels, index, frame.time_s, frame.chroma, frame.color)

    def get(self, prop: int, /) -> float:
        """Return width (3), height (4) or frame rate (5), numbered as in OpenCV."""
        frame = self._frames[0]
        return {3: float(frame.width_px), 4: float(frame.height_px), 5: self._fps}[prop]

    def release(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class CameraRound:
    """Latencies of the analyzed frames, and counts of delivered and dropped ones, after warm-up."""

    latency_ms: list[float]
    delivered: int
    dropped: int
    read_delay_p95_ms: float
    """95th percentile of the delay of the capture thread: the machine's part of the latency."""


def measure_camera(
    pipeline: Pipeline,
    frames: list[Frame],
    fps: float,
    count: int,
    warmup: int,
    detects_beside: bool = True,
) -> CameraRound:
    """Feed `count` frames at `fps` into the pipeline, after `warmup` more that are not counted.

    Latency is measured from the moment at which the camera has a frame, not from its read, so that
    a pipeline that starves the capture thread does not look faster. `detects_beside` is whether the
    detector runs beside the frames, as in `faceaffect analyze`.
    """
    captures: list[SimulatedCapture] = []

    def open_capture() -> SimulatedCapture:
        captures.append(SimulatedCapture(frames, warmup + count, fps))
        return captures[0]

    pipeline.reset()
    finished_s: dict[int, float] = {}
    config = CameraConfig(
        f"camera at {fps:g} fps", open_capture, frames[0].pixel_format, "this camera is simulated"
    )
    with CameraSource(config, SourceOptions(reconnect_timeout_s=0)) as source:
        if detects_beside:
            pipeline.prefetch_detections(source)
        for frame in source:
            pipeline.analyze(frame)
            finished_s[frame.index] = time.perf_counter()
    capture = captures[0]
    counted = {index: end_s for index, end_s in finished_s.items() if index >= warmup}
    delay_s = np.subtract(capture.read_s, capture.due_s)[warmup:]
    return CameraRound(
        latency_ms=[1e3 * (end_s - capture.due_s[index]) for index, end_s in counted.items()],
        delivered=count,
        dropped=count - len(counted),
        read_delay_p95_ms=1e3 * float(np.percentile(delay_s, 95)),
    )


def measure_cameras(
    pipelines: Sequence[Pipeline], frames: list[Frame], fps: float, count: int, warmup: int
) -> CameraRound:
    """Measure one camera per pipeline, concurrently, and pool the results."""
    with ThreadPoolExecutor(len(pipelines)) as threads:
        rounds = list(
            threads.map(
                lambda pipeline: measure_camera(pipeline, frames, fps, count, warmup), pipelines
            )
        )
    return CameraRound(
        latency_ms=[ms for one in rounds for ms in one.latency_ms],
        delivered=sum(one.delivered for one in rounds),
        dropped=sum(one.dropped for one in rounds),
        read_delay_p95_ms=max(one.read_delay_p95_ms for one in rounds),
    )
