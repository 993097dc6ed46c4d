"""TensorRTBackend over a simulated GPU: its results, and each way in which the GPU may fail."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect import kernels
from faceaffect.backends import (
    BackendError,
    BackendOptions,
    TensorRTOptions,
    open_backend,
    registry,
    tensorrt_backend,
)
from faceaffect.backends.engine_cache import CACHE_VARIABLE
from faceaffect.backends.tensorrt_compat import TensorRTModule
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.bundle.model_spec import PRECISIONS, BundleError
from faceaffect.types import PixelFormat
from tests.native.build_on_host import kernels_on_host
from tests.sdk.backends.fake_tensorrt import fake_tensorrt
from tests.sdk.backends.host_tensorrt import HostEngine, HostNative, failure_box
from tests.sdk.tiny_bundle import seal, write_tiny_bundle

SIZE = 48


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = write_tiny_bundle(tmp_path / "bundle", size_px=SIZE)
    (folder / PRECISIONS["fp16"]).write_bytes(
        (folder / PRECISIONS["fp32"]).read_bytes()
    )  # the simulated engine accepts either
    seal(folder)
    return open_bundle(folder)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A machine with a GPU and TensorRT; `failure.now` names the call that fails."""
    gpu, failure = HostNative(kernels_on_host()), failure_box()
    module = fake_tensorrt(
        dla_cores=2, open_engine=lambda made: HostEngine(gpu, made, lambda: failure.now)
    )
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(tensorrt_backend, "native", gpu)
    monkeypatch.setattr(
        tensorrt_backend,
        "find_tensorrt",
        lambda: (TensorRTModule(module, "TensorRT", "10.3.0"), ""),
    )
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: True)
    return SimpleNamespace(gpu=gpu, failure=failure, made=module.made)


def maps_of(count: int) -> np.ndarray:
    return np.concatenate(
        [similarity(SIZE, 1.0 + 0.2 * i, 9.0 * i, (40 + 20 * i, 45)) for i in range(count)]
    )


def cpu_heads(bundle: Bundle, count: int) -> dict[str, np.ndarray]:
    crop, frame = bundle.spec.crop, frame_of(PixelFormat.BGR, 90, 160)
    crops = kernels.crop_face(frame, maps_of(count), size_px=SIZE, mean=crop.mean, std=crop.std)
    heads = open_backend("onnx", bundle, device="cpu").infer(crops)
    return heads | {"au_logit": kernels.au_gcn(heads["au_nodes"], bundle.graph)}


@pytest.mark.parametrize(
    "options",
    [BackendOptions(max_faces=4), BackendOptions(precision="fp16", max_faces=4, dla_core=1)],
)
def test_tensorrt_backend_heads_match_cpu(
    bundle: Bundle, machine: Any, options: BackendOptions
) -> None:
    """A DLA has one batch size only, so that one face runs as four."""
    backend = open_backend("tensorrt", bundle, options=options)
    for count in (1, 3, 5):
        for _ in range(3):
            heads, _ = backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(count))  # type: ignore[attr-defined]
        for name, value in cpu_heads(bundle, count).items():
            np.testing.assert_allclose(heads[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
    assert backend.device == "cuda:0"  # type: ignore[attr-defined]


def test_tensorrt_for_rtx_is_configured_for_graph_capture(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it allocates during the capture, or the graph keeps temporary slow kernels."""
    engines: list[HostEngine] = []

    def open_engine(made: Any) -> HostEngine:
        engines.append(HostEngine(machine.gpu, made, lambda: ""))
        return engines[-1]

    for version, flavor in (("1.7.1", "TensorRT for RTX"), ("11.4.0", "TensorRT")):
        module = fake_tensorrt(version, open_engine=open_engine)
        library = TensorRTModule(module, flavor, version)
        monkeypatch.setattr(
            tensorrt_backend, "find_tensorrt", lambda library=library: (library, "")
        )
        open_backend("tensorrt", bundle)
        is_rtx = flavor != "TensorRT"
        assert module.made.flags == ["user allocation"] * is_rtx
        settings = engines[-1].settings
        if is_rtx:
            assert settings.dynamic_shapes_kernel_specialization_strategy == "eager"
            assert settings.allocation == "user managed"
        else:
            assert settings == "user managed"


def test_tensorrt_with_profile_per_batch_size_matches_cpu(bundle: Bundle, machine: Any) -> None:
    options = TensorRTOptions(optimization_level=5, profile_per_batch_size=True, wait="spin")
    backend = open_backend(
        "tensorrt", bundle, options=BackendOptions(max_faces=4, tensorrt=options)
    )
    sizes = [shapes[0][0] for _, shapes in machine.made.profiles]
    assert sizes == [1, 2, 4]
    assert all(shapes[0] == shapes[2] for _, shapes in machine.made.profiles)
    assert machine.made.config.builder_optimization_level == 5
    assert machine.gpu.wait_modes == [(0, "spin")]
    for count in (1, 3):
        heads, _ = backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(count))  # type: ignore[attr-defined]
        expected = cpu_heads(bundle, count)["au_logit"]
        np.testing.assert_allclose(heads["au_logit"], expected, rtol=1e-4, atol=1e-4)


def test_tensorrt_options_out_of_range_raise() -> None:
    with pytest.raises(BackendError, match="expected an optimization level from 0 to 5, got 6"):
        TensorRTOptions(optimization_level=6)
    with pytest.raises(BackendError, match="expected wait to be one of"):
        TensorRTOptions(wait="busy")


def test_dla_core_is_that_of_the_runtime(bundle: Bundle, machine: Any) -> None:
    """The number that the builder was given is not part of the engine."""
    options = BackendOptions(precision="fp16", max_faces=4, dla_core=1)
    backend = open_backend("tensorrt", bundle, options=options)
    assert backend._loaded._runtime.DLA_core == 1  # type: ignore[attr-defined]


def test_tensorrt_backends_of_two_gpus_select_their_device(bundle: Bundle, machine: Any) -> None:
    first, second = (open_backend("tensorrt", bundle, device=f"cuda:{i}") for i in range(2))
    for backend, index in ((first, 0), (second, 1), (first, 0)):
        backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(1))  # type: ignore[attr-defined]
        assert machine.gpu.devices[-1] == index


NO_CONTEXT = "cannot create an execution context"


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            "context",
            f"{NO_CONTEXT}: the GPU is out of memory; "
            "close other programs on the GPU or lower --max-faces",
        ),
        ("context: tactic needs 9 GB", f"{NO_CONTEXT}: tactic needs 9 GB; close other programs"),
        ("address", "failed to bind tensor 'au_nodes'"),
    ],
)
def test_open_backend_without_gpu_memory_raises_or_falls_back(
    bundle: Bundle, machine: Any, caplog: pytest.LogCaptureFixture, failure: str, message: str
) -> None:
    machine.failure.now = failure
    with pytest.raises(BackendError, match=message):
        open_backend("tensorrt", bundle)
    caplog.clear()
    assert open_backend("auto", bundle).name == "onnx"
    (record,) = caplog.records
    assert "running on the CPU with ONNX Runtime, since" in record.getMessage()
    assert message in record.getMessage()


def test_open_backend_without_memory_for_buffers_raises(bundle: Bundle, machine: Any) -> None:
    machine.gpu.stream_fails = (
        "allocating 9 bytes on the GPU: memory is full; "
        "close other programs on it, or lower --max-faces"
    )
    with pytest.raises(
        BackendError, match=r"failed on cuda:0: allocating 9 bytes .* lower --max-faces"
    ):
        open_backend("tensorrt", bundle)
    assert open_backend("auto", bundle).name == "onnx"


@pytest.mark.parametrize("uses_cuda_graphs", [False, True])
def test_auto_backend_with_lost_device_raises(
    bundle: Bundle, machine: Any, uses_cuda_graphs: bool
) -> None:
    """Never a silent fallback."""
    backend, frame = open_backend("auto", bundle), frame_of(PixelFormat.BGR, 90, 160)
    backend.frame_runner.uses_cuda_graphs = uses_cuda_graphs  # type: ignore[attr-defined]
    if not uses_cuda_graphs:
        machine.failure.now = "execute"
        with pytest.raises(
            BackendError,
            match="'tensorrt' failed on cuda:0: TensorRT could not run the engine: the GPU may",
        ):
            backend.infer_frame(frame, maps_of(1))  # type: ignore[attr-defined]
        return

    def lost(*_: Any) -> None:
        raise machine.gpu.CudaError("launching a CUDA graph: the GPU was lost to this process")

    machine.gpu.graphs[0].launch = lost
    with pytest.raises(
        BackendError, match="'tensorrt' failed on cuda:0: launching a CUDA graph: the GPU was lost"
    ):
        backend.infer_frame(frame, maps_of(1))  # type: ignore[attr-defined]


def test_failed_run_raises_with_tensorrt_error(bundle: Bundle, machine: Any) -> None:
    backend = open_backend("tensorrt", bundle)
    backend.frame_runner.uses_cuda_graphs = False  # type: ignore[attr-defined]
    machine.failure.now = "execute: Cuda Runtime (an illegal memory access was encountered)"
    with pytest.raises(
        BackendError,
        match=r"could not run the engine: Cuda Runtime \(an illegal .*restart the process",
    ):
        backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(1))  # type: ignore[attr-defined]


def test_threads_create_contexts_one_at_a_time(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_backend("tensorrt", bundle)
    inside, most = [0], [0]
    make = HostEngine.create_execution_context

    def slow(engine: HostEngine, settings: Any = None) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1
        return make(engine)

    monkeypatch.setattr(HostEngine, "create_execution_context", slow)
    threads = [threading.Thread(target=lambda: backend.frame_runner) for _ in range(3)]  # type: ignore[attr-defined]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1


def test_open_backend_with_failed_build_raises(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_tensorrt(fails="build: no tactic")
    monkeypatch.setattr(
        tensorrt_backend,
        "find_tensorrt",
        lambda: (TensorRTModule(module, "TensorRT", "10.3.0"), ""),
    )
    with pytest.raises(BackendError, match="cannot build the fp32 network: build: no tactic"):
        open_backend("tensorrt", bundle)
    assert open_backend("auto", bundle).name == "onnx"


def test_open_backend_with_half_outputs_raises(bundle: Bundle, machine: Any) -> None:
    machine.failure.now = "dtype va_raw"
    with pytest.raises(
        BundleError, match=r"expected float32 outputs .* got another type for \['va_raw'\]"
    ):
        open_backend("tensorrt", bundle)


def test_engine_too_large_to_load_is_not_rebuilt(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_tensorrt(refuses_first=9, refusal="Cuda Runtime (out of memory)")
    monkeypatch.setattr(
        tensorrt_backend,
        "find_tensorrt",
        lambda: (TensorRTModule(module, "TensorRT", "10.3.0"), ""),
    )
    with pytest.raises(
        BackendError, match=r"cannot load the engine: .*out of memory.*lower --max-faces"
    ):
        open_backend("tensorrt", bundle)
    assert module.made.builds == 1


def test_open_backend_with_unwritable_cache_works(
    bundle: Bundle,
    machine: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    for builds in (1, 2):
        assert open_backend("tensorrt", bundle).name == "tensorrt"
        assert machine.made.builds == builds
    assert "the engine cannot be cached in" in caplog.text
    assert "set FACEAFFECT_CACHE to another folder" in caplog.text
