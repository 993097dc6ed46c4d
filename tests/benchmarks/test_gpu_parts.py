"""All parts of the GPU record on a fake GPU in host memory, before they run on a real one."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import bench_engine, bench_kernels, bench_pipeline, part
from benchmarks.gpu.part import Session
from benchmarks.gpu_record import targets
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner
from faceaffect.backends.engine_cache import CACHE_VARIABLE
from faceaffect.backends.tensorrt_compat import TensorRTModule
from faceaffect.bundle.bundle import open_bundle
from faceaffect.bundle.model_spec import PRECISIONS
from faceaffect.types import Frame, PixelFormat, YuvCoefficients
from tests.native.build_on_host import kernels_on_host, plane_numbers
from tests.sdk.backends.fake_tensorrt import fake_tensorrt
from tests.sdk.backends.host_gpu import OnnxNetwork
from tests.sdk.backends.host_tensorrt import HostEngine, HostNative
from tests.sdk.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.train


REQUIRES = ("torch",)

SIZE = 28


def at(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Event:
    """Each event is a millisecond after the previous one."""

    made = 0

    def __init__(self, timed: bool = False) -> None:
        self.at_ms = 0

    def record(self, stream: Any) -> None:
        Event.made += 1
        self.at_ms = Event.made

    def synchronize(self) -> None: ...

    def elapsed_ms(self, later: Event) -> float:
        return later.at_ms - self.at_ms


class BenchGpu(HostNative):
    """The functions of the native module that only benchmarks call."""

    Event = Event

    def crop_face_cuda(
        self,
        frame: Any,
        pixel_format: str,
        maps: Any,
        mean: Any,
        std: Any,
        out: Any,
        stream: Any,
        color: YuvCoefficients | None = None,
    ) -> None:
        numbers = np.array([*mean, *std], np.float32)
        yuv = np.array(color or [0] * 6, np.float32)
        luma, *chroma = [plane.array for plane in frame] if type(frame) is tuple else [frame.array]
        image = Frame(luma, PixelFormat(pixel_format), chroma=tuple(chroma) or None)
        planes, _ = plane_numbers(image)
        where = (at(maps.array), len(maps.array), out.array.shape[3], at(numbers), at(out.array))
        is_half = int(out.array.dtype == np.float16)

        def run() -> None:
            assert numbers.size == 6
            self._kernels.host_crop_face(
                at(planes),
                at(yuv),
                list(PixelFormat).index(PixelFormat(pixel_format)),
                *where,
                is_half,
            )

        self.do(run)

    def normalize_cuda(self, pixels: Any, mean: Any, std: Any, out: Any, stream: Any) -> None:
        count, height, width, _ = pixels.array.shape
        numbers, is_half = np.array([*mean, *std], np.float32), int(out.array.dtype == np.float16)
        sizes = (ctypes.c_int64(count), ctypes.c_int64(height * width))
        self.do(
            lambda: self._kernels.host_normalize(
                at(pixels.array), *sizes, at(numbers), at(out.array), is_half
            )
        )

    def device_facts(self, index: int) -> dict[str, Any]:
        return super().device_facts(index) | {"free_bytes": 1 << 30}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(open_bundle(write_tiny_bundle(tmp_path, size_px=SIZE)), repeats=2)


@pytest.fixture
def gpu(session: Session, monkeypatch: pytest.MonkeyPatch) -> BenchGpu:
    found = BenchGpu(kernels_on_host())

    def open_runner(
        session: Session, precision: str = "fp32", max_faces: int = 16
    ) -> tuple[CudaFrameRunner, str]:
        bundle = session.bundle
        network = OnnxNetwork(found, bundle.onnx, SIZE)
        return CudaFrameRunner(
            found, network, bundle.graph, bundle.spec.crop, max_faces
        ), "ONNX Runtime on the host"

    for module in (bench_engine, bench_kernels, part, bench_pipeline):
        monkeypatch.setattr(module, "require_gpu", lambda: found)
    monkeypatch.setattr(bench_pipeline, "native", found)
    monkeypatch.setattr(bench_pipeline, "open_runner", open_runner)
    monkeypatch.setattr(part, "WARMUP_RUNS", 1)
    monkeypatch.setattr(part, "BATCH", 2)
    return found


def keep_few_cases(cases: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep one case in sixteen and three random ones: on the host all would take long."""
    monkeypatch.setattr(bench_kernels, "CASES", cases[::16])
    fresh = bench_kernels.random_cases
    monkeypatch.setattr(bench_kernels, "random_cases", lambda seed: fresh(seed)[:3])


def test_check_of_right_kernels_finds_none_wrong(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_few_cases(bench_kernels.CASES, monkeypatch)
    lines = list(bench_kernels.check(session))
    rows = [line.split(" | ") for line in lines if line.startswith("| ") and "cases" not in line]
    assert [row[0].strip("| ") for row in rows] == [
        name for name in bench_kernels.RUNNERS for _ in range(2)
    ]
    assert [row[-1] for row in rows] == ["none |"] * 10, lines
    assert sum(session.metrics.values()) == 0


def test_check_of_wrong_kernels_names_them(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_few_cases(bench_kernels.CASES, monkeypatch)
    right = gpu._kernels

    class Wrong:
        def __getattr__(self, name: str) -> Any:
            return (
                (lambda *_: None)
                if name in ("host_crop_jobs", "host_au_gcn")
                else getattr(right, name)
            )

    gpu._kernels = Wrong()
    list(bench_kernels.check(session))
    wrong = {name.rpartition(" ")[0] for name, count in session.metrics.items() if count}
    assert wrong == {"wrong crop_face, staged", "wrong au_gcn"}, "NaN in outputs is seen"


def test_random_cases_with_other_seed_differ() -> None:
    first, second = (bench_kernels.random_cases(seed)[0].make() for seed in (1, 2))
    assert (
        first["frame"].pixels.shape != second["frame"].pixels.shape
        or first["size_px"] != second["size_px"]
    )


def test_time_kernels_reports_floors(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_kernels, "copy_bandwidth", lambda *_: 1e12)
    monkeypatch.setattr(bench_kernels, "TIMED_CROPS", bench_kernels.TIMED_CROPS[:1])
    lines = list(bench_kernels.time_kernels(session))
    assert [line for line in lines if line.startswith("| BGR 112 px")]
    assert any(name.startswith("times the floor: BGR 112 px") for name in session.metrics)
    assert any("torch grid_sample and normalize: not run: " in line for line in lines)
    assert any("CV-CUDA: not run: " in line for line in lines)
    assert len(gpu.graphs) >= 3, "times are taken of graphs"


def test_device_time_without_capture_times_plain_launches(gpu: BenchGpu) -> None:
    def queue(stream: Any) -> None:
        if gpu.recording is not None:
            raise RuntimeError("not while capturing")

    assert part.device_time_us(gpu, queue, 2) > 0


def test_latency_and_stages_report_all_sizes(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_pipeline, "FACES", (1, 3))
    lines = list(bench_pipeline.latency(session))
    assert len([line for line in lines if "| graph |" in line]) == 4
    assert not any("not captured" in line for line in lines)
    rows = [line.strip("| ").split(" | ") for line in list(bench_pipeline.stages(session))[4:]]
    steps = [
        "pack on the host",
        "upload",
        "crop",
        "network",
        "graph layer",
        "appearance grid",
        "download",
    ]
    assert [row[:3] for row in rows] == [
        [size, str(n), step] for size in bench_pipeline.SIZES for n in (1, 3) for step in steps
    ]
    assert all(len(row) == 6 for row in rows), "p50, p95, p99"
    assert targets(session.metrics)[2].endswith(("| met |", "| missed |"))


def test_cameras_reports_one_run_and_a_run_per_frame(session: Session, gpu: BenchGpu) -> None:
    rows = [line.strip("| ").split(" | ") for line in list(bench_pipeline.cameras(session))[4:]]
    assert [row[:2] for row in rows] == [
        [str(n), kind] for n in bench_pipeline.CAMERAS for kind in ("one run", "each")
    ]
    assert all(session.metrics[f"cameras {n} {kind}"] > 0 for n, kind, *_ in rows)


def test_baselines_that_are_missing_report_the_reason(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(bench_pipeline, "require_torch", lambda: torch)
    lines = list(bench_pipeline.baselines(session))
    said = " ".join(lines)
    for baseline in ("PyTorch eager", "torch.compile", "ONNX Runtime on the GPU"):
        assert f"- {baseline}: not run: " in said


def test_engines_that_cannot_be_built_report_the_reason(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = TensorRTModule(fake_tensorrt(fails="build: no tactic"), "TensorRT", "10.3.0")
    monkeypatch.setattr(bench_engine.tensorrt_backend, "unavailable_reason", lambda: "")
    monkeypatch.setattr(bench_engine, "find_tensorrt", lambda: (library, ""))
    assert [line.partition(": ")[0] for line in list(bench_engine.build_engines(session))[4:]] == [
        "- fp32",
        "- fp16",
        "- int8",
    ]
    lines = list(bench_engine.engine_parity(session))
    assert len([line for line in lines if ": not run: " in line]) == len(PRECISIONS)


@pytest.fixture
def tensorrt(gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """TensorRT over the GPU of host memory; gives what it was asked to do."""
    module = fake_tensorrt(open_engine=lambda made: HostEngine(gpu, made, lambda: ""))
    library = TensorRTModule(module, "TensorRT", "10.3.0")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(bench_engine.tensorrt_backend, "native", gpu)
    for where in (bench_engine.tensorrt_backend, bench_engine):
        monkeypatch.setattr(where, "find_tensorrt", lambda: (library, ""))
    monkeypatch.setattr(bench_pipeline, "open_runner", bench_engine.open_runner)
    monkeypatch.setattr(bench_pipeline, "FACES", (1,))
    return module.made


def test_engines_that_run_are_within_tolerance(session: Session, tensorrt: Any) -> None:
    rows = list(bench_engine.build_engines(session))[4:]
    assert rows[0].startswith("| fp32 | ")
    assert rows[0].endswith("| runs |")
    assert rows[1].startswith("- fp16: not run: ")
    assert bench_engine.REFUSED not in session.notes, (
        "a precision that the bundle lacks is no refusal"
    )
    lines = [line for line in bench_engine.engine_parity(session) if line.startswith("| fp32 | ")]
    assert [line.split(" | ")[1] for line in lines] == ["1", "3", "8"]
    assert all(line.endswith("| within |") for line in lines), lines
    assert "- engine: TensorRT 10.3.0, fp32" in list(bench_pipeline.latency(session))
    rows = list(bench_pipeline.latency_fp32(session))[4:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {size}" for size in bench_pipeline.SIZES]


def test_engine_parity_with_nan_is_beyond(
    session: Session, tensorrt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_engine, "runner_differences", lambda *_: {"va_raw": float("nan")})
    assert list(bench_engine.engine_parity(session))[2].endswith("| BEYOND |")


def test_open_runner_on_unsupported_gpu_tries_tensorrt_once(
    session: Session, gpu: BenchGpu, tensorrt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try would build an engine anew."""
    tries = []

    def refuse(*_: Any, **__: Any) -> Any:
        tries.append(1)
        raise RuntimeError("this GPU is\nnot supported")

    monkeypatch.setattr(bench_engine.tensorrt_backend, "open_engine", refuse)
    built = list(bench_engine.build_engines(session))[4]
    assert built.endswith("| no: no TensorRT engine runs here: this GPU is not supported |")
    monkeypatch.setattr(
        bench_engine, "require_torch", lambda: (_ for _ in ()).throw(part.NotRunError("no PyTorch"))
    )
    for _ in range(2):
        with pytest.raises(part.NotRunError, match="no PyTorch"):
            list(bench_pipeline.latency(session))
    with pytest.raises(part.NotRunError, match="this GPU is not supported"):
        list(bench_pipeline.latency_fp16(session))
    assert len(tries) == 1


def test_runner_differences_of_right_runner_are_small(session: Session, gpu: BenchGpu) -> None:
    path, _ = bench_pipeline.open_runner(session, max_faces=8)
    assert max(bench_engine.runner_differences(session.bundle, path, 3).values()) < 1e-4


def test_analysis_and_memory_report_frames_and_bytes(
    session: Session, gpu: BenchGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    import faceaffect.sources
    from faceaffect.sources import open_source as real

    class Short:
        def __init__(self, path: Path) -> None:
            self._source = real(path)

        def __enter__(self) -> Iterator[Any]:
            with self._source as source:
                return iter([frame for _, frame in zip(range(11), source, strict=False)])

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(faceaffect.sources, "open_source", Short)
    lines = bench_pipeline.analysis(session)
    assert lines[-1].startswith("| 11 | ")
    assert "- faces in the first 10 frames: 10" in lines
    assert "- on the GPU, in addition to the memory in use: 0 MB" in bench_pipeline.memory(session)
