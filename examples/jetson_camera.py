"""A Jetson's CSI camera with TensorRT: `python examples/jetson_camera.py [csi://0] [fp16]`.

The first start builds the engine, which takes minutes; later ones load it from the cache.
"""

from __future__ import annotations

import sys
import time
from collections import deque

import numpy as np

from faceaffect import open_pipeline, open_source
from faceaffect.labels import AU_NAMES


def main(source: str = "csi://0", precision: str = "fp16", backend: str = "tensorrt") -> None:
    """Print active AUs once a second, with percentiles of the time that a frame takes."""
    took_ms: deque[float] = deque(maxlen=300)
    next_line_s = 0.0
    with (
        open_pipeline(backend=backend, precision=precision, max_faces=4) as pipeline,
        open_source(source) as camera,
    ):
        pipeline.prefetch_detections(camera)  # the detector runs beside the frames
        print(", ".join(f"{name} {value}" for name, value in pipeline.describe().items()))
        for frame in camera:
            begin_s = time.perf_counter()
            faces, affect = pipeline.analyze(frame)
            took_ms.append(1e3 * (time.perf_counter() - begin_s))
            if frame.time_s < next_line_s:
                continue
            next_line_s = frame.time_s + 1
            active = [" ".join(np.array(AU_NAMES)[row]) or "none" for row in affect.au_active]
            people = [f"#{n}: {aus}" for n, aus in zip(faces.track_id, active, strict=True)]
            p50, p99 = np.percentile(took_ms, (50, 99))
            print(f"{frame.time_s:6.1f} s  {p50:.2f} / {p99:.2f} ms  {'  '.join(people)}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except KeyboardInterrupt:
        print("stopped")
