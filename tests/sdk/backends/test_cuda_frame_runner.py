"""`CudaFrameRunner` over a simulated GPU, compared with the CPU path."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect import kernels
from faceaffect.backends import FrameBackend, open_backend
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner, batch_sizes, split_faces
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.kernels.reference_face_ops import sample_grid
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.face_network import FaceNetwork
from faceaffect.types import Frame, PixelFormat
from tests.native.build_on_host import kernels_on_host
from tests.sdk.backends.host_gpu import HostGpu, OnnxNetwork
from tests.sdk.tiny_bundle import write_tiny_bundle

SIZE = 48


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path_factory.mktemp("tiny"), size_px=SIZE))


def make_runner(
    bundle: Bundle, max_faces: int = 4, *, can_capture: bool = True
) -> tuple[CudaFrameRunner, HostGpu, OnnxNetwork]:
    gpu = HostGpu(kernels_on_host(), can_capture=can_capture)
    network = OnnxNetwork(gpu, bundle.onnx, SIZE)
    return CudaFrameRunner(gpu, network, bundle.graph, bundle.spec.crop, max_faces), gpu, network


def maps_of(count: int, frame: Frame) -> np.ndarray:
    centers = [(frame.width_px * (i + 1) / (count + 1), frame.height_px / 2) for i in range(count)]
    return np.concatenate(
        [similarity(SIZE, 1.0 + 0.3 * i, 9.0 * i, at) for i, at in enumerate(centers)]
    )


def check(bundle: Bundle, runner: CudaFrameRunner, frame: Frame, count: int) -> None:
    maps, crop = maps_of(count, frame), bundle.spec.crop
    crops = kernels.crop_face(frame, maps, size_px=SIZE, mean=crop.mean, std=crop.std)
    expected = open_backend("onnx", bundle).infer(crops)
    expected["au_logit"] = kernels.au_gcn(expected["au_nodes"], bundle.graph)
    heads, grid = runner.run(frame, maps)
    assert list(heads) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(heads[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(grid, sample_grid(crops), rtol=1e-4, atol=1e-4)


def test_batch_sizes_are_powers_of_two() -> None:
    assert [batch_sizes(n) for n in (1, 2, 3, 8, 9)] == [
        (1,),
        (1, 2),
        (1, 2, 4),
        (1, 2, 4, 8),
        (1, 2, 4, 8, 16),
    ]


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_runner_with_each_pixel_format_matches_cpu(
    bundle: Bundle, pixel_format: PixelFormat, count: int
) -> None:
    """Five faces on an engine for four take two runs; plain, captured and replayed."""
    runner, _, _ = make_runner(bundle)
    for seed in range(3):
        check(bundle, runner, frame_of(pixel_format, 90, 160, seed), count)


def test_runner_captures_all_batch_sizes_at_opening_and_replays(bundle: Bundle) -> None:
    runner, gpu, network = make_runner(bundle)
    assert [graph.launches for graph in gpu.graphs] == [1, 1, 1]
    assert network.runs == [1, 1, 2, 2, 4, 4], "plain launches, then the captured graph"
    for count in (1, 1, 3):
        check(bundle, runner, frame_of(PixelFormat.BGR, 90, 160), count)
    assert [graph.launches for graph in gpu.graphs] == [3, 1, 2]
    assert network.runs[-1] == 4, "three faces run as four"


def test_runner_with_frames_of_many_sizes_keeps_its_graphs(bundle: Bundle) -> None:
    runner, gpu, _ = make_runner(bundle)
    for height, width in ((90, 160), (480, 640), (720, 1280), (90, 160)):
        check(bundle, runner, frame_of(PixelFormat.NV12, height, width), 1)
    assert [graph.launches for graph in gpu.graphs] == [5, 1, 1]


def test_runner_with_several_frames_runs_once_and_matches_each_frame(bundle: Bundle) -> None:
    """Frames of other formats and sizes; seven faces on an engine for four take two runs."""
    frames = [
        frame_of(PixelFormat.BGR, 90, 160, 1),
        frame_of(PixelFormat.NV12, 240, 320, 2),
        frame_of(PixelFormat.I420, 120, 160, 3),
    ]
    for counts, runs in (((1, 1, 1), [4]), ((1, 2), [4]), ((2, 2), [4]), ((1, 5, 1), [4, 4])):
        runner, _, network = make_runner(bundle)
        batch = [(f, maps_of(n, f)) for f, n in zip(frames, counts, strict=False)]
        expected = [runner.run(*one) for one in batch]
        del network.runs[:]
        heads, grid = runner.run_frames(batch)
        assert network.runs == runs
        for name, values in heads.items():
            rows = np.concatenate([one[0][name] for one in expected])
            np.testing.assert_allclose(values, rows, rtol=1e-5, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(grid, np.concatenate([one[1] for one in expected]))


def test_runner_with_several_large_frames_grows_buffers_once(bundle: Bundle) -> None:
    runner, gpu, _ = make_runner(bundle)
    frames = [frame_of(PixelFormat.BGR, 1080, 1920, seed) for seed in range(2)]
    wide = similarity(SIZE, 40.0, 5, (960, 540))
    expected = [runner.run(frame, wide)[0]["face_logit"] for frame in frames]
    buffer = runner._block_host
    heads, _ = runner.run_frames([(frame, wide) for frame in frames])
    np.testing.assert_allclose(heads["face_logit"], np.concatenate(expected), atol=1e-5)
    assert runner._block_host.nbytes == 2 * buffer.nbytes
    grown = runner._block_host
    runner.run_frames([(frame, wide) for frame in frames])
    assert runner._block_host is grown
    assert len(gpu.graphs) > 3, "the graphs of the old buffer were dropped"


def test_split_faces_keeps_the_order_of_all_faces() -> None:
    frame = frame_of(PixelFormat.GRAY, 8, 8)
    rows = np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    parts = list(split_faces([(frame, rows[:3]), (frame, rows[3:8]), (frame, rows[8:])], 4))
    assert [[len(maps) for _, maps in part] for part in parts] == [[3, 1], [4], [1]]
    order = [value for part in parts for _, maps in part for value in maps[:, 0, 0]]
    assert order == list(range(9))


def test_runner_copies_results_once(bundle: Bundle) -> None:
    """The next frame overwrites the buffers, not the results."""
    runner, _, _ = make_runner(bundle)
    frame = frame_of(PixelFormat.BGR, 90, 160)
    heads, grid = runner.run(frame, maps_of(3, frame))
    kept = {name: value.copy() for name, value in heads.items()}
    assert all(value.base is grid.base for value in heads.values())
    runner.run(frame_of(PixelFormat.BGR, 90, 160, seed=9), maps_of(3, frame))
    for name, value in kept.items():
        np.testing.assert_array_equal(heads[name], value)


def test_runner_with_larger_frame_grows_buffers(bundle: Bundle) -> None:
    runner, gpu, _ = make_runner(bundle)
    small, large = frame_of(PixelFormat.BGR, 90, 160), frame_of(PixelFormat.BGR, 1080, 1920)
    for _ in range(3):
        check(bundle, runner, small, 1)
    wide = similarity(SIZE, 40.0, 5, (960, 540))
    crop = bundle.spec.crop
    crops = kernels.crop_face(large, wide, size_px=SIZE, mean=crop.mean, std=crop.std)
    for _ in range(3):
        heads, _ = runner.run(large, wide)
        np.testing.assert_allclose(
            heads["face_logit"], open_backend("onnx", bundle).infer(crops)["face_logit"], atol=1e-4
        )
    check(bundle, runner, small, 1)
    assert max(gpu.copied_bytes) > 4 * 1024 * 1024
    assert len(gpu.graphs) == 4, "that of one face is captured again"


def test_runner_without_memory_for_frame_recovers(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Growing only the pinned buffer would let copies overrun the GPU buffer."""
    runner, gpu, _ = make_runner(bundle)
    small, large = frame_of(PixelFormat.BGR, 90, 160), frame_of(PixelFormat.BGR, 1080, 1920)
    for _ in range(2):
        check(bundle, runner, small, 1)
    buffer = gpu.DeviceBuffer

    def full(nbytes: int) -> Any:
        raise gpu.CudaError(f"allocating {nbytes} bytes on the GPU: memory is full")

    monkeypatch.setattr(gpu, "DeviceBuffer", full)
    for _ in range(2):
        with pytest.raises(gpu.CudaError, match="memory is full"):
            runner.run(large, similarity(SIZE, 40.0, 5, (960, 540)))
    assert runner._block.nbytes == runner._block_host.nbytes
    check(bundle, runner, small, 1)
    assert gpu.graphs[0].launches == 4, "its graph is still valid"
    monkeypatch.setattr(gpu, "DeviceBuffer", buffer)
    runner.run(large, similarity(SIZE, 40.0, 5, (960, 540)))
    check(bundle, runner, small, 1)


def test_runner_after_failed_call_synchronizes(bundle: Bundle) -> None:
    """Launches queued before it still read the buffers that the next frame fills."""
    runner, _, network = make_runner(bundle)
    waited = []
    stream, enqueue = runner._stream, network.enqueue
    synchronize = stream.synchronize
    stream.synchronize = lambda: (waited.append(1), synchronize())

    def fails(faces: int, handle: int) -> None:
        raise RuntimeError("could not run the engine")

    network.enqueue = fails  # type: ignore[method-assign]
    runner.uses_cuda_graphs = False
    with pytest.raises(RuntimeError, match="could not run the engine"):
        runner.run(
            frame_of(PixelFormat.BGR, 90, 160), maps_of(1, frame_of(PixelFormat.BGR, 90, 160))
        )
    assert waited == [1]
    network.enqueue = enqueue  # type: ignore[method-assign]
    runner.uses_cuda_graphs = True
    for _ in range(3):
        check(bundle, runner, frame_of(PixelFormat.BGR, 90, 160), 1)


def test_runner_uploads_faces_only(bundle: Bundle) -> None:
    runner, gpu, _ = make_runner(bundle)
    gpu.copied_bytes.clear()
    runner.run(frame_of(PixelFormat.BGR, 1080, 1920), similarity(SIZE, 1.0, 0, (900, 500)))
    assert sum(gpu.copied_bytes) < 100_000, "a full HD frame has 6 million bytes"


def test_runner_with_failed_capture_warns_once(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    runner, gpu, _ = make_runner(bundle, can_capture=False)
    for seed in range(4):
        check(bundle, runner, frame_of(PixelFormat.GRAY, 90, 160, seed), 2)
    assert gpu.graphs == []
    assert len(caplog.records) == 3, "one for each batch size"
    assert "capture is not possible" in caplog.text
    assert runner.uncaptured == dict.fromkeys((1, 2, 4), "capture is not possible")


def test_runner_tries_a_failed_capture_again(bundle: Bundle) -> None:
    """After 1, 10 and 100 plain runs, and then no more."""
    runner, gpu, _ = make_runner(bundle, 1, can_capture=False)
    attempts = []
    stream = runner._stream
    begin = stream.begin_capture
    stream.begin_capture = lambda: (attempts.append(len(frames)), begin())
    frame = frame_of(PixelFormat.BGR, 90, 160)
    frames: list[int] = []
    for _ in range(300):
        frames.append(0)
        runner.run(frame, maps_of(1, frame))
    assert attempts == [2, 13, 114]
    runner, gpu, _ = make_runner(bundle, 1, can_capture=False)
    gpu._can_capture = True
    for _ in range(3):
        check(bundle, runner, frame, 1)
    assert [graph.launches for graph in gpu.graphs] == [2]
    assert runner.uncaptured == {}


def test_runner_reports_the_first_error(bundle: Bundle) -> None:
    """A lost GPU fails in the launch and again in the synchronization after it."""
    runner, gpu, network = make_runner(bundle)
    runner.uses_cuda_graphs = False

    def fails(*_: object) -> None:
        raise gpu.CudaError("lost in the launch" if _ else "lost while waiting")

    network.enqueue = fails  # type: ignore[method-assign]
    runner._stream.synchronize = fails
    frame = frame_of(PixelFormat.BGR, 90, 160)
    with pytest.raises(gpu.CudaError, match="in the launch"):
        runner.run(frame, maps_of(1, frame))


def test_runner_with_zero_copy_matches_cpu(bundle: Bundle) -> None:
    gpu = HostGpu(kernels_on_host())
    network = OnnxNetwork(gpu, bundle.onnx, SIZE)
    runner = CudaFrameRunner(gpu, network, bundle.graph, bundle.spec.crop, 4, zero_copy=True)
    gpu.copied_bytes.clear()
    for count in (1, 3, 1):
        check(bundle, runner, frame_of(PixelFormat.NV12, 90, 160), count)
    assert gpu.copied_bytes == []


class Backend:
    """A `FrameBackend` over the runner."""

    name, precision, version, device = "gpu", "float32", "0", "cuda:0"

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self._local = bundle, threading.local()

    def infer_frame(self, frame: Frame, crop_to_frame: np.ndarray) -> Any:
        return self.infer_frames([(frame, crop_to_frame)])

    def infer_frames(self, frames: Any) -> Any:
        if not hasattr(self._local, "runner"):
            self._local.runner = make_runner(self._bundle)[0]
        return self._local.runner.run_frames(frames)

    def infer(self, crops: np.ndarray) -> Any:
        heads = open_backend("onnx", self._bundle).infer(crops)
        return heads | {"au_logit": kernels.au_gcn(heads["au_nodes"], self._bundle.graph)}


def test_face_network_outputs_match_between_backends(bundle: Bundle) -> None:
    clock, crop = StageTimer(), bundle.spec.crop
    backend = Backend(bundle)
    assert isinstance(backend, FrameBackend)
    readers = (
        FaceNetwork(backend, crop, clock),
        FaceNetwork(open_backend("onnx", bundle), crop, clock),
    )
    frame = frame_of(PixelFormat.NV12, 240, 320)
    maps = np.concatenate(
        [similarity(112, 1.1, 4, (100, 120)), similarity(112, 0.8, -9, (220, 110))]
    )
    got, expected = (reader.run(frame, maps) for reader in readers)
    np.testing.assert_allclose(got.landmarks_xy, expected.landmarks_xy, atol=1e-3)
    np.testing.assert_allclose(got.appearance, expected.appearance, atol=1e-5)
    np.testing.assert_allclose(got.face_score, expected.face_score, atol=1e-5)
    batch = [(frame, maps), (frame_of(PixelFormat.BGR, 240, 320, 4), maps[:1])]
    for mine, theirs in zip(*(reader.run_frames(batch) for reader in readers), strict=True):
        np.testing.assert_allclose(mine.landmarks_xy, theirs.landmarks_xy, atol=1e-3)
        np.testing.assert_allclose(mine.appearance, theirs.appearance, atol=1e-5)
    no_face = readers[0].run(frame, maps[:0])
    assert no_face.heads["au_logit"].shape == (0, 12)
    assert readers[0].run(frame, maps).concat(no_face).heads.keys() == got.heads.keys()


def test_runner_with_shipped_model_matches_cpu(trained: None, tmp_path: Path) -> None:
    shipped = open_bundle()
    gpu = HostGpu(kernels_on_host())
    crop = shipped.spec.crop
    runner = CudaFrameRunner(
        gpu, OnnxNetwork(gpu, shipped.onnx, crop.size_px), shipped.graph, crop, 1
    )
    frame = frame_of(PixelFormat.NV12, 360, 640)
    maps = similarity(crop.size_px, 1.6, 8, (300, 170))
    crops = kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
    nodes = open_backend("onnx", shipped).infer(crops)["au_nodes"]
    for _ in range(2):
        heads, _ = runner.run(frame, maps)
    np.testing.assert_allclose(heads["au_logit"], kernels.au_gcn(nodes, shipped.graph), atol=1e-3)
    assert [graph.launches for graph in gpu.graphs] == [3]
