"""A camera that delivers frames at a fixed rate, whatever becomes of them, read the way every
camera is read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from faceaffect.bench.workload import forth_and_back
from faceaffect.pipeline import Pipeline
from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.source import SourceOptions
from faceaffect.types import Frame

_FIRST_WAIT_S: Final = (
    0.05  # until the first frame, so that reader and analysis are both waiting for it
)


class PacedCapture:
    """Stands in for `cv2.VideoCapture`: frame i is there at `due_s[i]` of `time.perf_counter`, and
    not before.
    """

    def __init__(self, frames: list[Frame], count: int, fps: float) -> None:
        self._frames, self._fps = frames, fps
        self.due_s = [time.perf_counter() + _FIRST_WAIT_S + index / fps for index in range(count)]
        self.read_s: list[float] = []

    def isOpened(self) -> bool:  # noqa: N802
        return not self.read_s

    def read(self) -> tuple[bool, Any]:
        index = len(self.read_s)
        if index == len(self.due_s):
            return False, None
        time.sleep(max(0.0, self.due_s[index] - time.perf_counter()))
        self.read_s.append(time.perf_counter())
        return True, forth_and_back(self._frames, index).pixels

    def get(self, prop: int, /) -> float:
        return {
            3: float(self._frames[0].width_px),
            4: float(self._frames[0].height_px),
            5: self._fps,
        }[prop]

    def release(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class LiveRound:
    """Latencies of the frames that were analyzed, and how many the camera delivered and were
    dropped, after warm-up.
    """

    latency_ms: list[float]
    delivered: int
    dropped: int
    late_ms: float
    """95th percentile of how late the camera's own thread came to read: the part of latency that is
    this machine's.
    """


def measure_live(
    pipeline: Pipeline, frames: list[Frame], fps: float, count: int, warmup: int
) -> LiveRound:
    """Play `count` frames at `fps` into the pipeline, after `warmup` more that do not count.

    A frame's latency runs from the moment at which the camera has it, not from when somebody
    came to read it, so that a pipeline that starves the reader is not flattered.
    """
    opened: list[PacedCapture] = []

    def open_capture() -> PacedCapture:
        opened.append(PacedCapture(frames, warmup + count, fps))
        return opened[0]

    pipeline.reset()
    finished_s: dict[int, float] = {}
    kind = CameraConfig(
        f"camera at {fps:g} fps", open_capture, frames[0].layout, "this camera is made of memory"
    )
    with CameraSource(kind, SourceOptions(reconnect_timeout_s=0)) as source:
        for frame in source:
            pipeline.analyze(frame)
            finished_s[frame.index] = time.perf_counter()
    camera = opened[0]
    counted = {index: at_s for index, at_s in finished_s.items() if index >= warmup}
    late_s = np.subtract(camera.read_s, camera.due_s)[warmup:]
    return LiveRound(
        latency_ms=[1e3 * (at_s - camera.due_s[index]) for index, at_s in counted.items()],
        delivered=count,
        dropped=count - len(counted),
        late_ms=1e3 * float(np.percentile(late_s, 95)),
    )


def measure_cameras(
    pipelines: Sequence[Pipeline], frames: list[Frame], fps: float, count: int, warmup: int
) -> LiveRound:
    """A camera of its own for each pipeline, all at once."""
    with ThreadPoolExecutor(len(pipelines)) as threads:
        rounds = list(
            threads.map(
                lambda pipeline: measure_live(pipeline, frames, fps, count, warmup), pipelines
            )
        )
    return LiveRound(
        latency_ms=[ms for part in rounds for ms in part.latency_ms],
        delivered=sum(part.delivered for part in rounds),
        dropped=sum(part.dropped for part in rounds),
        late_ms=max(part.late_ms for part in rounds),
    )
