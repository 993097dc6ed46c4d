"""Metrics for Prometheus; their names are listed in docs/live.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_BUCKETS_S: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5),
)


class Metrics:
    """Metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._stage = Histogram(
            "faceaffect_stage_seconds",
            "Wall time of a frame in each stage: wait, decode, the stages of the analysis, total.",
            ["stage"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.frames = self._counter("frames", "Frames analyzed.", "kind")
        self.faces = self._counter("faces", "Faces found in them.", "kind")
        self.dropped = self._counter("dropped_frames", "Frames that newer ones replaced.", "kind")
        self.refused = self._counter("refused", "Requests and frames refused.", "code")
        self.fallbacks = self._counter(
            "fallbacks", "Pipelines that run on the CPU though there is an NVIDIA GPU.", "device"
        )

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"faceaffect_{name}_total", text, [label], registry=self.registry)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when the metrics are."""
        Gauge(f"faceaffect_{name}", text, registry=self.registry).set_function(read)

    def time_frame(self, kind: str, faces: int, elapsed_ns: Mapping[str, int]) -> None:
        """Count a frame and the time of its stages."""
        self.frames.labels(kind).inc()
        self.faces.labels(kind).inc(faces)
        for stage, nanoseconds in elapsed_ns.items():
            self._stage.labels(stage).observe(nanoseconds / 1e9)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
