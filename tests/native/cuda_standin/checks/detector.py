"""Compares the detector on the GPU with that on the CPU, and what the host waits for."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from faceaffect import open_pipeline, open_source
from faceaffect.backends import Backend
from faceaffect.backends.tensorrt_backend import open_engine
from faceaffect.bundle.bundle import open_bundle
from faceaffect.detectors.detector import Detections
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.detectors.gpu_detector import GpuFaceDetector, move_to_gpu
from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.kernels.native import native
from faceaffect.types import Frame, PixelFormat
from tests.native.cuda_standin import standin
from tests.native.cuda_standin.checks.stress_frames import upload

MAX_KEYPOINT_ERROR, MAX_SCORE_ERROR = 0.04, 0.08
"""Relative to the height of the box; OpenCV and the crop kernel resize differently."""
CLEAR_SCORE = 0.3 + MAX_SCORE_ERROR
"""A face below may be missing in one of both, as the detectors find faces from a score of 0.3."""
FRAMES = 40
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize")
DELAY_S = 0.2
problems: list[str] = []


def frames_of_all_kinds(decoded: Frame) -> dict[str, Any]:
    """A decoded I420 frame in every pixel format, in host and GPU memory."""
    assert decoded.pixel_format is PixelFormat.I420
    assert decoded.chroma is not None
    bgr, luma, color = to_bgr(decoded), decoded.pixels, decoded.color
    height, width = luma.shape
    interleaved = np.stack(decoded.chroma, axis=-1)
    nv12 = np.concatenate([luma, interleaved.reshape(height // 2, width)])
    odd = tuple(plane[:-2, :-2] for plane in decoded.chroma)
    padded = cv2.copyMakeBorder(bgr, 0, 0, 0, 8, cv2.BORDER_CONSTANT)[:, :width]
    large = cv2.resize(bgr, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    turned = np.ascontiguousarray(large[:, 500:1100])
    return {
        "I420": decoded,
        "I420 of odd size": replace(decoded, pixels=luma[:-5, :-5], chroma=odd),
        "BGR": Frame(bgr, PixelFormat.BGR),
        "padded BGR": Frame(padded, PixelFormat.BGR),
        "RGB": Frame(np.ascontiguousarray(bgr[..., ::-1]), PixelFormat.RGB),
        "gray": Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), PixelFormat.GRAY),
        "NV12": Frame(nv12, PixelFormat.NV12, color=color),
        "large": Frame(large, PixelFormat.BGR),
        "portrait": Frame(turned, PixelFormat.BGR),
        "dark": Frame(bgr // 9, PixelFormat.BGR),
        "dark I420": replace(decoded, pixels=16 + (luma - np.uint8(16)) // 9),
        "panorama": Frame(cv2.hconcat([large, np.flip(large, 1), large]), PixelFormat.BGR),
        "BGR on the GPU": DeviceFrame(upload(bgr), PixelFormat.BGR),
        "NV12 on the GPU": DeviceFrame(
            (upload(luma), upload(interleaved)), PixelFormat.NV12, color=color
        ),
        "I420 on the GPU": on_gpu_in_planes(decoded),
    }


def on_gpu_in_planes(frame: Frame) -> DeviceFrame:
    planes = tuple(upload(np.ascontiguousarray(plane)) for plane in frame.planes)
    return DeviceFrame(planes, frame.pixel_format, color=frame.color)


def clear(found: Detections) -> Detections:
    kept = found.score >= CLEAR_SCORE
    return Detections(found.box_xyxy[kept], found.keypoints_xy[kept], found.score[kept])


def difference(expected: Detections, actual: Detections) -> str:
    expected, actual = clear(expected), clear(actual)
    if len(expected) != len(actual) or not len(expected):
        return f"{len(actual)} faces instead of {len(expected)}"
    height = np.ptp(expected.box_xyxy[:, 1::2], axis=1)[:, None, None]
    points = np.abs(expected.keypoints_xy - actual.keypoints_xy) / height
    score = np.abs(expected.score - actual.score)
    if points.max() > MAX_KEYPOINT_ERROR or score.max() > MAX_SCORE_ERROR:
        return f"keypoints differ by {points.max():.3f}, scores by {score.max():.3f}"
    return ""


def on_gpu(cpu: FastFaceDetector, backend: Backend) -> GpuFaceDetector:
    moved = move_to_gpu(cpu, backend)
    assert isinstance(moved, GpuFaceDetector)
    return moved


def check_results(cpu: FastFaceDetector, gpu: GpuFaceDetector, decoded: Frame) -> None:
    for name, frame in frames_of_all_kinds(decoded).items():
        for full_resolution, _ in itertools.product((True, False), range(2)):
            expected = cpu.detect(frame, full_resolution=full_resolution)
            actual = gpu.detect(frame, full_resolution=full_resolution)
            found = difference(expected, actual)
            if found:
                problems.append(f"{name}, full resolution {full_resolution}: {found}")


def check_start_returns_at_once(cpu: FastFaceDetector, gpu: GpuFaceDetector, frame: Frame) -> None:
    """The frame may change once `start` has returned."""
    gpu.detect(frame)  # allocates for frames of this size and format
    for on_device in (False, True):
        pixels = frame.pixels.copy()
        given: Any = replace(frame, pixels=pixels)
        stream = gpu._runner.stream
        if on_device:
            view = upload(pixels)
            given = DeviceFrame(view, frame.pixel_format)
        else:
            kept = standin.delay(stream, lambda _: time.sleep(DELAY_S))
        begin = time.perf_counter()
        gpu.start(given)
        elapsed = time.perf_counter() - begin
        event = native.Event()
        event.record(stream)
        if not on_device and (event.is_done or elapsed > DELAY_S / 2):
            problems.append(f"start returned after {elapsed:.3f} s, when the run had ended")
        if on_device:
            standin.memory(view.address, pixels.shape, np.uint8)[...] = 0  # type: ignore[index]
        pixels[...] = 0
        found = difference(cpu.detect(frame), gpu.finish())
        if found:
            problems.append(f"changed frame, on the GPU {on_device}: {found}")
    del kept


def check_pipeline_waits() -> tuple[int, int]:
    """A frame in which a run starts waits for the face network only; returns starts and rows."""
    starts = rows = 0
    with (
        open_pipeline(backend="tensorrt", precision="fp32", max_faces=8) as pipeline,
        open_source("assets/demo.mp4") as source,
    ):
        background: Any = pipeline._locator._tracker._background  # type: ignore[attr-defined]
        pipeline.prefetch_detections(source)
        for number, frame in enumerate(itertools.islice(source, FRAMES)):
            was_detecting = background.is_busy
            before = standin.counts(*WAITS)
            rows += len(pipeline.analyze(frame)[0].track_id)
            waits = int((standin.counts(*WAITS) - before).sum())
            starts += background.is_busy
            if number and background.is_busy and not was_detecting and waits > 1:
                problems.append(f"frame {number}: {waits} waits in the frame of a start")
    return starts, rows


if __name__ == "__main__":
    backend = open_engine(open_bundle(), max_faces=1)
    detector = FastFaceDetector()
    moved = on_gpu(detector, backend)
    with open_source("assets/demo.mp4") as demo:
        first = next(iter(demo))
    check_results(detector, moved, first)
    check_start_returns_at_once(detector, moved, Frame(to_bgr(first)))
    starts, rows = check_pipeline_waits()
    if starts < 3 or rows < FRAMES:
        problems.append(f"{starts} runs beside a frame, {rows} rows")
    standin.finish(f"{starts} runs beside a frame in {FRAMES} frames", problems)
