"""What the detector on the GPU asks of its runner, with a double in the engine's place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect import open_source, to_bgr
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.detectors.gpu_detector import GpuFaceDetector
from faceaffect.types import Frame

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"


class Runner:
    """Notes the inputs and finds nothing."""

    def __init__(self) -> None:
        self.sizes: list[Any] = []

    def start(self, _frame: Frame, sizes: list[Any]) -> None:
        self.sizes = sizes

    def finish(self) -> list[np.ndarray]:
        return [
            np.zeros((1, 15, size.height_px // 8, size.width_px // 8), np.float32)
            for size in self.sizes
        ]


@pytest.fixture(scope="module")
def decoded() -> Frame:
    with open_source(str(DEMO)) as source:
        return next(iter(source))


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def detector(runner: Runner) -> GpuFaceDetector:
    return GpuFaceDetector(FastFaceDetector(), runner)  # type: ignore[arg-type]


@pytest.mark.parametrize("divisor", [1, 3, 9, 200])
def test_dark_frames_are_brightened_in_every_format_alike(
    detector: GpuFaceDetector, runner: Runner, decoded: Frame, divisor: int
) -> None:
    luma = np.maximum(decoded.pixels, 16) - np.uint8(16)
    dark = replace(decoded, pixels=16 + luma // np.uint8(divisor))
    gains = []
    for frame in (dark, Frame(to_bgr(dark))):
        detector.detect(frame)
        gains.append({size.gain for size in runner.sizes})
    assert gains[0] == gains[1]
    (gain,) = gains[0]
    mean = float(to_bgr(dark).mean())
    wanted = 1.0 if mean >= 50 else min(100 / max(mean, 1), 6.0)
    assert gain == pytest.approx(wanted, rel=0.2)
    assert (gain > 1) == (mean < 50)
    assert np.log2(gain) * 2 == pytest.approx(round(np.log2(gain) * 2))


def test_panorama_is_searched_in_strips_on_the_cpu(
    detector: GpuFaceDetector, runner: Runner, decoded: Frame
) -> None:
    bgr = to_bgr(decoded)
    panorama = Frame(np.concatenate([bgr[:, ::-1], bgr, bgr[:, ::-1], bgr], axis=1))
    found = detector.detect(panorama)
    assert len(found) == 4
    assert runner.sizes == []
    np.testing.assert_array_equal(found.box_xyxy, FastFaceDetector().detect(panorama).box_xyxy)
    assert len(detector.detect(decoded)) == 0, "the runner's result, not the last one"
    assert runner.sizes
