"""TensorrtBackend as a whole, over a GPU of host memory: what it answers, and each way in which the
GPU may fail it.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect import backends, kernels
from faceaffect.backends import BackendError, BackendOptions, open_backend
from faceaffect.backends import tensorrt_backend as tensorrt_engine
from faceaffect.backends.engine_cache import CACHE_VARIABLE
from faceaffect.backends.tensorrt_compat import TensorRTModule
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.bundle.model_spec import PRECISIONS, BundleError
from faceaffect.types import PixelFormat
from tests.native.build_on_host import kernels_on_host
from tests.sdk.backends.fake_tensorrt import fake_tensorrt
from tests.sdk.backends.host_tensorrt import HostEngine, HostNative, trouble_box
from tests.sdk.tiny_bundle import seal, write_tiny_bundle

SIZE = 48


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = write_tiny_bundle(tmp_path / "bundle", size_px=SIZE)
    (folder / PRECISIONS["fp16"]).write_bytes(
        (folder / PRECISIONS["fp32"]).read_bytes()
    )  # the host's engine takes either
    seal(folder)
    return open_bundle(folder)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A machine with a GPU and TensorRT; `trouble.now` names the call that fails."""
    gpu, trouble = HostNative(kernels_on_host()), trouble_box()
    module = fake_tensorrt(
        dla_cores=2, open_engine=lambda made: HostEngine(gpu, made, lambda: trouble.now)
    )
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(tensorrt_engine, "native", gpu)
    monkeypatch.setattr(
        tensorrt_engine, "find_tensorrt", lambda: (TensorRTModule(module, "TensorRT", "10.3.0"), "")
    )
    monkeypatch.setattr(backends, "has_nvidia_gpu", lambda: True)
    return SimpleNamespace(gpu=gpu, trouble=trouble, made=module.made)


def maps_of(count: int) -> np.ndarray:
    return np.concatenate(
        [similarity(SIZE, 1.0 + 0.2 * i, 9.0 * i, (40 + 20 * i, 45)) for i in range(count)]
    )


def wanted(bundle: Bundle, count: int) -> dict[str, np.ndarray]:
    crop, frame = bundle.spec.crop, frame_of(PixelFormat.BGR, 90, 160)
    crops = kernels.crop_face(frame, maps_of(count), size_px=SIZE, mean=crop.mean, std=crop.std)
    heads = open_backend("onnx", bundle, device="cpu").infer(crops)
    return heads | {"au_logit": kernels.au_gcn(heads["au_nodes"], bundle.graph)}


@pytest.mark.parametrize(
    "options", [BackendOptions(max_faces=4), BackendOptions(precision="fp16", max_faces=4, dla=1)]
)
def test_it_answers_as_the_cpu_does(bundle: Bundle, machine: Any, options: BackendOptions) -> None:
    """A DLA takes one number of faces only, so that one face runs as four."""
    backend = open_backend("tensorrt", bundle, options=options)
    for count in (1, 3, 5):
        for _ in range(3):
            heads, _ = backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(count))  # type: ignore[attr-defined]
        for name, value in wanted(bundle, count).items():
            np.testing.assert_allclose(heads[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
    assert backend.device == "cuda:0"  # type: ignore[attr-defined]


def test_tensorrt_for_rtx_is_told_to_be_ready_for_capture(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it allocates while a graph is captured, or the graph keeps the kernels that fill in
    until better ones are made.
    """
    engines: list[HostEngine] = []

    def open_engine(made: Any) -> HostEngine:
        engines.append(HostEngine(machine.gpu, made, lambda: ""))
        return engines[-1]

    for version, flavour in (("1.7.1", "TensorRT for RTX"), ("11.4.0", "TensorRT")):
        module = fake_tensorrt(version, open_engine=open_engine)
        library = TensorRTModule(module, flavour, version)
        monkeypatch.setattr(tensorrt_engine, "find_tensorrt", lambda library=library: (library, ""))
        open_backend("tensorrt", bundle)
        is_rtx = flavour != "TensorRT"
        assert module.made.flags == ["user allocation"] * is_rtx
        settings = engines[-1].settings
        assert (settings and settings.dynamic_shapes_kernel_specialization_strategy) == (
            "eager" if is_rtx else None
        )


def test_two_gpus_in_one_thread(bundle: Bundle, machine: Any) -> None:
    first, second = (open_backend("tensorrt", bundle, device=f"cuda:{i}") for i in range(2))
    for backend, index in ((first, 0), (second, 1), (first, 0)):
        backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(1))  # type: ignore[attr-defined]
        assert machine.gpu.devices[-1] == index


NO_CONTEXT = "cannot make an execution context"


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (
            "context",
            f"{NO_CONTEXT}: the GPU's memory is full; close other programs on the GPU or lower --max-faces",
        ),
        ("context: tactic needs 9 GB", f"{NO_CONTEXT}: tactic needs 9 GB; close other programs"),
        ("address", "TensorRT refuses the memory of 'au_nodes'"),
    ],
)
def test_a_gpu_without_room_is_known_when_the_backend_opens(
    bundle: Bundle, machine: Any, caplog: pytest.LogCaptureFixture, trouble: str, message: str
) -> None:
    machine.trouble.now = trouble
    with pytest.raises(BackendError, match=message):
        open_backend("tensorrt", bundle)
    caplog.clear()
    assert open_backend("auto", bundle).name == "onnx"
    (record,) = caplog.records
    assert "running on the CPU with ONNX Runtime, since" in record.getMessage()
    assert message in record.getMessage()


def test_buffers_that_do_not_fit_too(bundle: Bundle, machine: Any) -> None:
    machine.gpu.stream_fails = "allocating 9 bytes on the GPU: memory is full; close other programs on it, or lower --max-faces"
    with pytest.raises(
        BackendError, match=r"failed on cuda:0: allocating 9 bytes .* lower --max-faces"
    ):
        open_backend("tensorrt", bundle)
    assert open_backend("auto", bundle).name == "onnx"


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_a_device_lost_in_mid_stream_is_an_error_even_with_auto(
    bundle: Bundle, machine: Any, runs: int
) -> None:
    """Before, in and after the capture of the graph: never a silent step to the CPU."""
    backend, frame = open_backend("auto", bundle), frame_of(PixelFormat.BGR, 90, 160)
    for _ in range(runs):
        backend.infer_frame(frame, maps_of(1))  # type: ignore[attr-defined]
    if runs < 2:
        machine.trouble.now = "execute"
        with pytest.raises(
            BackendError,
            match="'tensorrt' failed on cuda:0: TensorRT could not run the engine: the GPU may",
        ):
            backend.infer_frame(frame, maps_of(1))  # type: ignore[attr-defined]
        return

    def lost(*_: Any) -> None:
        raise machine.gpu.CudaError("launching a CUDA graph: the GPU was lost to this process")

    machine.gpu.graphs[-1].launch = lost
    with pytest.raises(
        BackendError, match="'tensorrt' failed on cuda:0: launching a CUDA graph: the GPU was lost"
    ):
        backend.infer_frame(frame, maps_of(1))  # type: ignore[attr-defined]


def test_what_tensorrt_says_of_a_failed_run_is_told(bundle: Bundle, machine: Any) -> None:
    backend = open_backend("tensorrt", bundle)
    machine.trouble.now = "execute: Cuda Runtime (an illegal memory access was encountered)"
    with pytest.raises(
        BackendError,
        match=r"could not run the engine: Cuda Runtime \(an illegal memory access .*start again",
    ):
        backend.infer_frame(frame_of(PixelFormat.BGR, 90, 160), maps_of(1))  # type: ignore[attr-defined]


def test_threads_make_their_contexts_one_after_the_other(
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
    threads = [threading.Thread(target=lambda: backend.path) for _ in range(3)]  # type: ignore[attr-defined]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1


def test_a_network_that_cannot_be_built(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_tensorrt(fails="build: no tactic")
    monkeypatch.setattr(
        tensorrt_engine, "find_tensorrt", lambda: (TensorRTModule(module, "TensorRT", "10.3.0"), "")
    )
    with pytest.raises(BackendError, match="cannot build the fp32 network: build: no tactic"):
        open_backend("tensorrt", bundle)
    assert open_backend("auto", bundle).name == "onnx"


def test_an_engine_whose_outputs_are_half_is_refused(bundle: Bundle, machine: Any) -> None:
    machine.trouble.now = "dtype va_raw"
    with pytest.raises(BundleError, match=r"outputs must be float32 .* others are \['va_raw'\]"):
        open_backend("tensorrt", bundle)


def test_an_engine_too_large_to_load_is_not_built_again(
    bundle: Bundle, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_tensorrt(refuses_first=9, refusal="Cuda Runtime (out of memory)")
    monkeypatch.setattr(
        tensorrt_engine, "find_tensorrt", lambda: (TensorRTModule(module, "TensorRT", "10.3.0"), "")
    )
    with pytest.raises(
        BackendError, match=r"cannot load the engine: .*out of memory.*lower --max-faces"
    ):
        open_backend("tensorrt", bundle)
    assert module.made.builds == 1


def test_a_cache_that_cannot_be_written_costs_no_engine(
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
    assert "the engine cannot be kept in" in caplog.text
    assert "FACEAFFECT_CACHE names another folder" in caplog.text
