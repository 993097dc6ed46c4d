"""CPU time from an H.264 file to its rows, decoding included, and where it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from benchmarks.check import Check, at_most
from benchmarks.latency_measurements import FPS, PipelineConfig, play_copies, read_clip
from faceaffect.bench.simulated_camera import measure_camera
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.sink import OverwritePolicy, SinkOptions
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU
from faceaffect.types import Frame

_WARMUP_FRAMES: Final = 30
_FRAMES: Final = 300
_TARGETS_MS: Final = {(640, 360): 1.5, (1920, 1080): 4.6}
_ANALYSIS_P99_MS: Final = 1.5
_CRF: Final = "23"  # x264's default quality
_OVERWRITE: Final = SinkOptions(if_exists=OverwritePolicy.OVERWRITE)
_DECODE: Final = "decode"
_WRITE: Final = "write rows"
_BESIDE: Final = "detector beside, thread switches"


@dataclass(frozen=True, slots=True)
class FileTimes:
    """CPU milliseconds of one file after warm-up.

    Attributes:
        process_ms: Mean over frames of all threads, from the open file to the written row.
        analysis_ms: Of each frame, in the thread that analyzes.
        decode_ms: Mean over frames of all threads that only decode.
        stages_ms: Mean of each stage of the analysis thread, and of writing.
    """

    process_ms: float
    analysis_ms: list[float]
    decode_ms: float
    stages_ms: dict[str, float]


def encode_h264(frames: list[Frame], path: Path, count: int = _FRAMES) -> None:
    """Write `count` frames in ping-pong order as H.264, 4:2:0, in x264's default quality."""
    first = frames[0]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=round(FPS), options={"crf": _CRF})
        stream.width, stream.height, stream.pix_fmt = first.width_px, first.height_px, "yuv420p"
        for frame in play_copies(frames, count):
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format="bgr24")
            container.mux(stream.encode(image))
        container.mux(stream.encode())


def measure_file(config: PipelineConfig, path: Path, folder: Path) -> FileTimes:
    """Analyze a file as `faceaffect analyze` does: once for the total, once for the stages."""
    process_ms, analysis_ms, _ = _analyze(config, path, folder, with_stages=False)
    _, _, stages_ms = _analyze(config, path, folder, with_stages=True)
    return FileTimes(process_ms, analysis_ms, _decode_ms(path), stages_ms)


def _analyze(
    config: PipelineConfig, path: Path, folder: Path, *, with_stages: bool
) -> tuple[float, list[float], dict[str, float]]:
    begin_ns = 0
    analysis_ms: list[float] = []
    stages: dict[str, list[float]] = {}
    with (
        config.open() as pipeline,
        open_source(path) as source,
        open_sink(folder / f"{path.stem}.csv", _OVERWRITE) as sink,
    ):
        pipeline.prefetch_detections(source)
        if with_stages:
            pipeline.stage_timer.enable(CPU)
        for index, frame in enumerate(source):
            if index == _WARMUP_FRAMES:
                begin_ns = time.process_time_ns()
            started_ns = time.thread_time_ns()
            faces, affect = pipeline.analyze(frame)
            analyzed_ns = time.thread_time_ns()
            sink.write(frame, faces, affect)
            written_ns = time.thread_time_ns()
            if index < _WARMUP_FRAMES:
                continue
            analysis_ms.append((analyzed_ns - started_ns) / 1e6)
            stages.setdefault(_WRITE, []).append((written_ns - analyzed_ns) / 1e6)
            for name, elapsed_ns in pipeline.stage_timer.elapsed_ns.get(CPU.name, {}).items():
                stages.setdefault(name, []).append(elapsed_ns / 1e6)
    process_ms = (time.process_time_ns() - begin_ns) / 1e6 / len(analysis_ms)
    return process_ms, analysis_ms, {name: float(np.mean(ms)) for name, ms in stages.items()}


def _decode_ms(path: Path) -> float:
    begin_ns, count = 0, 0
    with open_source(path) as source:
        for count, _ in enumerate(source, 1):
            if count == _WARMUP_FRAMES:
                begin_ns = time.process_time_ns()
    return (time.process_time_ns() - begin_ns) / 1e6 / (count - _WARMUP_FRAMES)


class FileBenchmark:
    """Measures the files of all sizes in interleaved rounds."""

    def __init__(self, config: PipelineConfig, clip: str, folder: Path) -> None:
        """Encode the files."""
        self._config = config
        self._folder = folder
        self._frames = read_clip(clip, (640, 360))
        self._times: dict[tuple[int, int], list[FileTimes]] = {size: [] for size in _TARGETS_MS}
        self._mediapipe_ms: dict[tuple[int, int], list[float]] = {size: [] for size in _TARGETS_MS}
        self._paths = {size: folder / f"h264_{size[1]}.mp4" for size in _TARGETS_MS}
        for size, path in self._paths.items():
            encode_h264(read_clip(clip, size), path)

    def run_round(self, run_mediapipe: Callable[[str], list[float]] | None) -> None:
        """Measure each file once.

        Args:
            run_mediapipe: Returns the CPU milliseconds of each frame of a file, decoding by OpenCV
                included; None where it is not installed.
        """
        for size, path in self._paths.items():
            self._times[size].append(measure_file(self._config, path, self._folder))
            if run_mediapipe is not None:
                spent_ms = run_mediapipe(str(path))[_WARMUP_FRAMES:]
                self._mediapipe_ms[size].append(float(np.mean(spent_ms)))

    def checks(self) -> list[Check]:
        """Check the targets of files, and of live frames."""
        checks = []
        for size, limit_ms in _TARGETS_MS.items():
            name = f"file to row, {size[0]}x{size[1]} H.264, all threads, with detector runs"
            process_ms = self._median(size, lambda times: times.process_ms)
            checks.append(at_most(name, limit_ms, process_ms, "ms a frame"))
            if mediapipe_ms := self._mediapipe_ms[size]:
                other_ms = float(np.median(mediapipe_ms))
                text = f"{other_ms:.2f} ms, {other_ms / process_ms:.1f} times"
                checks.append(
                    Check(f"MediaPipe and OpenCV on that file, {size[1]} lines", "-", text, None)
                )
        p99_ms = self._median((640, 360), lambda times: float(np.percentile(times.analysis_ms, 99)))
        checks.append(
            at_most("analysis thread, p99 over all frames", _ANALYSIS_P99_MS, p99_ms, "ms")
        )
        return [*checks, self._camera_check()]

    def _camera_check(self) -> Check:
        """Compare the wall-clock latency of camera frames with the detector beside and in line."""
        p99_ms = {}
        for is_beside in (False, True):
            with self._config.open() as pipeline:
                camera = measure_camera(pipeline, self._frames, FPS, 240, 60, is_beside)
            p99_ms[is_beside] = float(np.percentile(camera.latency_ms, 99))
        text = f"{p99_ms[True]:.1f} ms; {p99_ms[False]:.1f} ms with the detector in line"
        name = "camera at 30 fps, p99 from arrival to result (wall clock)"
        return Check(name, "less than in line", text, p99_ms[True] < p99_ms[False])

    def budget_table(self) -> list[str]:
        """Return a Markdown table of where the time of a frame goes, in mean CPU milliseconds."""
        sizes = list(self._times)
        names = [name for name in self._times[sizes[0]][0].stages_ms if name != _WRITE]
        lines = ["| part | " + " | ".join(f"{w}x{h}, ms" for w, h in sizes) + " |"]
        lines.append("|---" * (1 + len(sizes)) + "|")
        rows: dict[str, Callable[[FileTimes], float]] = {_DECODE: lambda times: times.decode_ms}
        for name in [*names, _WRITE]:
            rows[name] = lambda times, name=name: times.stages_ms.get(name, 0.0)  # type: ignore[misc]
        rows[_BESIDE] = lambda times: (
            times.process_ms - times.decode_ms - sum(times.stages_ms.values())
        )
        rows["all"] = lambda times: times.process_ms
        for name, value in rows.items():
            cells = [f"{self._median(size, value):.3f}" for size in sizes]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return lines

    def _median(self, size: tuple[int, int], value: Callable[[FileTimes], float]) -> float:
        return float(np.median([value(times) for times in self._times[size]]))
