"""Times one analyzer on one clip, frame by frame, and prints what it found as a line of JSON.

The scripts beside this one run it, each in the environment of its own package, so it needs only
NumPy and OpenCV. The job comes on standard input: `clip`, `frames` (most to read, 0 for all),
`files` (paths by name), `times_decoding` (whether decoding by OpenCV counts) and what a script
needs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol

import cv2
import numpy as np

_WARM_UP_FRAMES = 10
Job = dict[str, Any]
Box = tuple[float, float, float, float]  # left, top, right, bottom in frame pixels


class Analyzer(Protocol):
    """User code around the package; `analyze` is timed, and decoding if the job says so."""

    def analyze(self, bgr: np.ndarray, time_s: float) -> Any: ...

    def boxes(self, result: Any) -> list[Box]: ...


def time_clip(open_analyzer: Callable[[Job], Analyzer], packages: tuple[str, ...]) -> None:
    """Read the job, analyze the clip once to warm up and once for the clock, print the answer.

    Times are of the processor, over all threads of this process, which stays on one core.
    """
    before_ns = time.process_time_ns()  # what the interpreter and the imports took
    job: Job = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    frames, fps = _decode(job["clip"], job["frames"])
    opened_ns = time.process_time_ns()
    analyzer = open_analyzer(job)
    analyzer.analyze(frames[0], 0.0)
    first_s = (time.process_time_ns() - opened_ns + before_ns) / 1e9
    for i, bgr in enumerate(frames[1:_WARM_UP_FRAMES], 1):
        analyzer.analyze(bgr, i / fps)
    analyzer = open_analyzer(job)
    spent_ms, boxes = [], []
    capture = cv2.VideoCapture(job["clip"]) if job.get("times_decoding") else None
    for i, decoded in enumerate(frames):
        # Written anew, as by a decoder: what was read long ago lies in memory, not in a cache.
        bgr = decoded.copy()
        started_ns = time.process_time_ns()
        if capture is not None:
            bgr = capture.read()[1]
        result = analyzer.analyze(bgr, i / fps)
        spent_ms.append((time.process_time_ns() - started_ns) / 1e6)
        boxes.append([[round(float(edge), 1) for edge in box] for box in analyzer.boxes(result)])
    answer = {
        "versions": {name: version(name) for name in packages},
        "size_px": [frames[0].shape[1], frames[0].shape[0]],
        "first_result_s": first_s,
        "ms": spent_ms,
        "boxes": boxes,
    }
    sys.stdout.flush()
    print("\n" + json.dumps(answer), flush=True)


def _decode(clip: str, most: int) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(clip)
    fps = capture.get(cv2.CAP_PROP_FPS) or 30.0
    frames: list[np.ndarray] = []
    while not most or len(frames) < most:
        good, bgr = capture.read()
        if not good:
            break
        frames.append(bgr)
    if not frames:
        raise SystemExit(f"{clip}: expected a video, got a file without a decodable frame")
    return frames, fps


def box_of_points(points_xy: np.ndarray) -> Box:
    """The tight box of landmarks [L, 2]."""
    left, top = points_xy.min(axis=0)
    right, bottom = points_xy.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
