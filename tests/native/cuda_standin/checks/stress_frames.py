"""Cases of `stress` in which nothing fails: batch sizes, frames, device frames, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect.backends import BackendOptions, TensorRTOptions, open_backend
from faceaffect.backends.tensorrt_backend import open_engine
from faceaffect.bundle.bundle import open_bundle
from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin
from tests.native.cuda_standin.expected_heads import difference

FLOAT32_TOLERANCE, FLOAT16_TOLERANCE = 1e-4, 2e-2
Case = Callable[[], list[str]]
CASES: dict[str, Case] = {}
bundle = open_bundle()
cpu = open_backend("onnx", bundle, device="cpu", options=BackendOptions(1, "fp32"))


def case(call: Case) -> Case:
    CASES[call.__name__] = call
    return call


@cache
def shared_backend() -> Any:
    backend = open_engine(bundle, max_faces=8)
    backend.warm_up()
    return backend


def maps_of(count: int, width: int, height: int, scale: float) -> np.ndarray:
    centers = [
        (width * (i + 1) / (count + 1), height * (0.4 + 0.2 * (i % 2))) for i in range(count)
    ]
    size = bundle.spec.crop.size_px
    return np.concatenate([similarity(size, scale, 7.0 * i, at) for i, at in enumerate(centers)])


def compare(
    backend: Any,
    frame: Any,
    maps: np.ndarray,
    tolerance: float = FLOAT32_TOLERANCE,
    given: Any = None,
) -> list[str]:
    worst = difference(backend, frame, maps, bundle, cpu, given)
    return [] if worst <= tolerance else [f"differs by {worst:.1e}"]


def small() -> tuple[Any, np.ndarray]:
    return frame_of(PixelFormat.BGR, 240, 320), maps_of(1, 320, 240, 0.9)


def upload(array: np.ndarray, offset: int = 0) -> Any:
    """Copy of `array` in GPU memory, `offset` bytes from an aligned address."""
    buffer, stream = native.DeviceBuffer(offset + array.nbytes), native.Stream()
    view = buffer.view(list(array.shape), "|u1", offset)
    array = np.ascontiguousarray(array)
    native.copy_bytes(view.address, array.ctypes.data, array.nbytes, stream)
    stream.synchronize()
    return view


@case
def batch_sizes() -> list[str]:
    problems = []
    for turn in range(3):
        for count in (1, 2, 3, 4, 5, 8):
            frame = frame_of(PixelFormat.BGR, 360, 640, seed=10 * count + turn)
            problems += compare(shared_backend(), frame, maps_of(count, 640, 360, 1.1))
    frame = frame_of(PixelFormat.BGR, 360, 640, seed=5)
    return problems + compare(shared_backend(), frame, maps_of(19, 640, 360, 0.6))


@case
def frame_sizes() -> list[str]:
    problems = []
    for height, width, scale, pixel_format in (
        (120, 160, 0.8, PixelFormat.BGR),
        (1080, 1920, 6.0, PixelFormat.NV12),
        (360, 640, 1.2, PixelFormat.GRAY),
        (2160, 3840, 14.0, PixelFormat.BGR),
        (720, 1280, 3.3, PixelFormat.RGB),
        (1080, 1920, 2.0, PixelFormat.NV12),
        (120, 160, 0.8, PixelFormat.NV12),
    ):
        for seed in range(2):
            frame = frame_of(pixel_format, height, width, seed=seed)
            problems += compare(shared_backend(), frame, maps_of(2, width, height, scale))
    return problems


@case
def device_frames() -> list[str]:
    problems, maps = [], maps_of(3, 640, 360, 1.3)
    for seed in range(3):
        pairs = []
        for pixel_format in (PixelFormat.BGR, PixelFormat.NV12):
            frame = frame_of(pixel_format, 360, 640, seed=seed)
            pairs.append((frame, DeviceFrame(upload(frame.pixels), pixel_format)))
        planes = (upload(frame.pixels[:360]), upload(frame.pixels[360:].reshape(180, 320, 2)))
        pairs.append((frame, DeviceFrame(planes, PixelFormat.NV12)))
        for frame, on_gpu in pairs:
            problems += compare(shared_backend(), frame, maps, given=on_gpu)
            if not np.array_equal(on_gpu.pixels, frame.pixels):
                problems.append("downloaded pixels differ")
    return problems


@case
def frames_of_several_cameras() -> list[str]:
    """Host and device frames of other sizes and formats in one run."""
    problems = []
    large = frame_of(PixelFormat.NV12, 1080, 1920, seed=1)
    small_frame = frame_of(PixelFormat.BGR, 240, 320, seed=2)
    third = frame_of(PixelFormat.BGR, 360, 640, seed=3)
    on_gpu = DeviceFrame(upload(third.pixels), PixelFormat.BGR)
    batch = [
        (large, maps_of(2, 1920, 1080, 4.0)),
        (small_frame, maps_of(1, 320, 240, 0.9)),
        (on_gpu, maps_of(3, 640, 360, 1.2)),
    ]
    backend = shared_backend()
    expected = [backend.infer_frame(*one)[0] for one in batch]
    for _ in range(3):
        heads, _ = backend.infer_frames(batch)
        for name, values in heads.items():
            worst = np.abs(values - np.concatenate([one[name] for one in expected])).max()
            if not worst <= FLOAT32_TOLERANCE * max(1, np.abs(values).max()):
                problems.append(f"{name} differs by {worst:.1e}")
    return problems


@case
def chroma_at_odd_addresses() -> list[str]:
    """Crops of a halved frame, for which the kernel reads both bytes of a pixel at once."""
    problems, maps = [], maps_of(3, 640, 360, 2.3)
    frame = frame_of(PixelFormat.NV12, 360, 640)
    luma, chroma = frame.pixels[:360], frame.pixels[360:].reshape(180, 320, 2)
    for offset in (0, 1):
        given = DeviceFrame((upload(luma), upload(chroma, offset)), PixelFormat.NV12)
        problems += compare(shared_backend(), frame, maps, given=given)
    return problems


class LateFrame:
    """A frame that its producer's stream still writes."""

    def __init__(self, view: Any, stream: Any) -> None:
        self._view, self._stream = view, stream

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._view.__cuda_array_interface__ | {"stream": self._stream.handle}


@case
def late_producer() -> list[str]:
    problems, kept = [], []
    for seed in range(3):
        frame, maps = frame_of(PixelFormat.BGR, 360, 640, seed=seed), maps_of(2, 640, 360, 1.3)
        nbytes = frame.pixels.nbytes
        view = native.DeviceBuffer(nbytes).view(list(frame.pixels.shape), "|u1")
        stream, pinned = native.Stream(), native.PinnedBuffer(nbytes)
        pinned.bytes()[:] = frame.pixels.reshape(-1)
        kept.append((pinned, standin.delay(stream, lambda _: time.sleep(0.03))))
        native.copy_bytes(view.address, pinned.address, nbytes, stream)
        late = DeviceFrame(LateFrame(view, stream), PixelFormat.BGR)
        problems += compare(shared_backend(), frame, maps, given=late)
    return problems


@case
def four_threads() -> list[str]:
    problems: list[str] = []

    def work(seed: int) -> None:
        try:
            for k in range(6):
                frame = frame_of(PixelFormat.BGR, 240, 320, seed=100 * seed + k)
                maps = maps_of(1 + (k + seed) % 4, 320, 240, 0.9)
                problems.extend(compare(shared_backend(), frame, maps))
        except Exception as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


@case
def half_precision() -> list[str]:
    backend, problems = open_engine(bundle, precision="fp16", max_faces=4), []
    for seed in range(4):
        frame = frame_of(PixelFormat.NV12, 360, 640, seed=seed)
        problems += compare(backend, frame, maps_of(1 + seed % 3, 640, 360, 1.2), FLOAT16_TOLERANCE)
    return problems


@case
def dla() -> list[str]:
    backend = open_engine(bundle, precision="fp16", max_faces=4, dla_core=1)
    return compare(backend, *small(), FLOAT16_TOLERANCE)


@case
def profile_per_batch_size() -> list[str]:
    options = TensorRTOptions(profile_per_batch_size=True, optimization_level=5)
    backend, problems = open_engine(bundle, max_faces=4, tensorrt=options), []
    for count in (1, 2, 3, 4, 5):
        frame = frame_of(PixelFormat.NV12, 360, 640, seed=count)
        problems += compare(backend, frame, maps_of(count, 640, 360, 1.2))
    return problems
