"""TensorRT before the first run: versions, builds, cache and error messages."""

from __future__ import annotations

import os
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from faceaffect.backends import (
    BackendError,
    BackendOptions,
    open_backend,
    registry,
    tensorrt_backend,
)
from faceaffect.backends.build_engine import EngineSettings, build_engine
from faceaffect.backends.engine_cache import CACHE_VARIABLE
from faceaffect.backends.tensorrt_compat import TensorRTModule
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.bundle.model_spec import PRECISIONS, BundleError
from faceaffect.cli.command_line import faceaffect
from tests.sdk.backends.fake_tensorrt import NO_CUDA, fake_tensorrt
from tests.sdk.tiny_bundle import seal, write_tiny_bundle

SETTINGS = EngineSettings("fp32", 8, 112)


class Watcher:
    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int | None]] = []

    def step(self, phase: str, done: int, steps: int | None) -> None:
        self.steps.append((phase, done, steps))


def library_of(**options: Any) -> TensorRTModule:
    return TensorRTModule(fake_tensorrt(**options), "TensorRT", "10.3.0")


@pytest.mark.parametrize(("version", "flags"), [("10.3.0", 8), ("11.4.0", 0)])
def test_build_engine_makes_strongly_typed_network(version: str, flags: int) -> None:
    module, watcher = fake_tensorrt(version), Watcher()
    assert (
        build_engine(TensorRTModule(module, "TensorRT", version), b"onnx", SETTINGS, watcher)
        == b"plan 1"
    )
    assert module.made.network_flags == [flags]
    assert module.made.profiles == [
        ("crops", ((1, 3, 112, 112), (1, 3, 112, 112), (8, 3, 112, 112)))
    ]
    assert watcher.steps == [("tactics", 0, 2), ("tactics", 1, 2), ("tactics", 2, 2)]


def test_build_engine_without_progress_monitor_works() -> None:
    module = fake_tensorrt()
    del module.IProgressMonitor
    build_engine(TensorRTModule(module, "TensorRT", "10.3.0"), b"onnx", SETTINGS, Watcher())
    assert module.made.config.progress_monitor is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no terminal")])
def test_build_engine_with_raising_watcher_raises_its_error(error: BaseException) -> None:
    """An exception that leaves a callback would end the process."""

    class RaisingWatcher:
        def step(self, phase: str, done: int, steps: int | None) -> None:
            raise error

    with pytest.raises(type(error)):
        build_engine(library_of(), b"onnx", SETTINGS, RaisingWatcher())


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (
            "parse: no importer for Unique",
            "cannot read the network: parse: no importer for Unique; export the model again",
        ),
        ("build: no tactic", "cannot build the fp32 network: build: no tactic; use --backend onnx"),
        ("start", f"TensorRT 10.3.0 does not start: {NO_CUDA}; check the driver with `nvidia-smi`"),
        (
            "build: CUDA out of memory",
            "out of memory; close other programs on the GPU or lower --max-faces",
        ),
    ],
)
def test_build_engine_errors_name_cause_and_remedy(fails: str, message: str) -> None:
    with pytest.raises(BackendError) as caught:
        build_engine(library_of(fails=fails), b"onnx", SETTINGS, Watcher())
    assert message in str(caught.value)
    assert "not an error" not in str(caught.value)


def test_build_engine_error_in_fp16_suggests_fp32() -> None:
    with pytest.raises(
        BackendError, match=r"build: no tactic; try --precision fp32, or use --backend onnx"
    ):
        build_engine(
            library_of(fails="build: no tactic"), b"onnx", EngineSettings("fp16", 8, 112), Watcher()
        )


def test_build_engine_reports_phases_one_at_a_time() -> None:
    """The builder calls from its own threads."""
    module, inside, most = fake_tensorrt(), 0, 0

    class SlowWatcher:
        def step(self, phase: str, done: int, steps: int | None) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    build_engine(TensorRTModule(module, "TensorRT", "10.3.0"), b"onnx", SETTINGS, SlowWatcher())
    monitor = module.made.config.progress_monitor
    threads = [
        threading.Thread(target=monitor.phase_start, args=(f"phase {i}", None, 3)) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_build_engine_for_dla() -> None:
    module = fake_tensorrt(dla_cores=2)
    library = TensorRTModule(module, "TensorRT", "10.3.0")
    dla = EngineSettings("fp16", 4, 112, 1)
    build_engine(library, b"onnx", dla, Watcher())
    assert (module.made.config.DLA_core, module.made.config.default_device_type) == (1, "dla")
    assert module.made.flags == ["fallback", "fp16"]
    assert module.made.network_flags == [0], "a DLA runs no strongly typed network"
    with pytest.raises(BackendError, match="none of the network's 2 layers runs on it"):
        build_engine(library_of(dla_cores=2, fails="no layer on DLA"), b"onnx", dla, Watcher())
    assert module.made.profiles == [("crops", ((4, 3, 112, 112),) * 3)]
    with pytest.raises(BackendError, match="expected a DLA core from 0 to 1, got 2"):
        build_engine(library, b"onnx", EngineSettings("fp16", 4, 112, 2), Watcher())
    with pytest.raises(BackendError, match=r"has no DLA .*; build without --dla-core"):
        build_engine(library_of(), b"onnx", dla, Watcher())


@pytest.mark.parametrize(
    ("device", "index"), [("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:12", 12)]
)
def test_device_index_of_valid_names(device: str, index: int) -> None:
    assert tensorrt_backend.device_index(device) == index


@pytest.mark.parametrize("device", ["cpu", "gpu", "cuda:", "cuda:-1", "cuda:0x"])
def test_device_index_of_other_names_raises(device: str) -> None:
    with pytest.raises(BackendError, match="runs on device 'cuda:N', got"):
        tensorrt_backend.device_index(device)


FACTS = {"name": "Orin", "compute_capability": (8, 7), "multiprocessors": 8}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path / "bundle"))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Install a fake TensorRT on a machine with a GPU, as `open_engine` sees it."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    gpu = SimpleNamespace(
        has_cuda=True,
        require_device=lambda: None,
        CudaError=RuntimeError,
        DeviceGuard=lambda _: nullcontext(),
        device_facts=lambda _: FACTS,
    )
    monkeypatch.setattr(tensorrt_backend, "native", gpu)
    monkeypatch.setattr(
        tensorrt_backend.TensorRTBackend, "warm_up", lambda _: None
    )  # these engines are fake

    def install(module: Any) -> Any:
        library = TensorRTModule(module, "TensorRT", module.__version__)
        monkeypatch.setattr(tensorrt_backend, "find_tensorrt", lambda: (library, ""))
        return module.made

    return install


def test_open_engine_builds_at_first_use_then_loads_cached(
    bundle: Bundle, use: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = use(fake_tensorrt())
    first = tensorrt_backend.open_engine(bundle)
    assert (first.name, first.precision, first.version, first.device) == (
        "tensorrt",
        "float32",
        "TensorRT 10.3.0",
        "cuda:0",
    )
    assert "building the fp32 engine of tiny with TensorRT 10.3.0" in caplog.text
    tensorrt_backend.open_engine(bundle)
    assert made.builds == 1
    tensorrt_backend.open_engine(bundle, max_faces=9)
    assert made.builds == 2
    assert made.profiles[-1][1][2] == (16, 3, 112, 112)
    use(fake_tensorrt("11.4.0"))
    tensorrt_backend.open_engine(bundle)


def test_open_engine_with_another_release_builds(bundle: Bundle, use: Any) -> None:
    use(fake_tensorrt())
    tensorrt_backend.open_engine(bundle)
    newer = use(fake_tensorrt("10.13.3"))
    tensorrt_backend.open_engine(bundle)
    assert newer.builds == 1


def test_open_engine_rebuilds_rejected_engine(
    bundle: Bundle, use: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = use(fake_tensorrt(refuses_first=1))
    tensorrt_backend.open_engine(bundle)
    assert made.builds == 2
    assert (
        "cannot load the cached engine (built by another version); building it again" in caplog.text
    )


def test_open_engine_that_never_loads_raises(bundle: Bundle, use: Any) -> None:
    use(fake_tensorrt(refuses_first=9))
    with pytest.raises(
        BackendError,
        match="cannot load the engine that it built on Orin: built by another version",
    ):
        tensorrt_backend.open_engine(bundle)


def test_open_backend_with_failing_runtime_raises_or_falls_back(
    bundle: Bundle, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bindings raise a TypeError, which GPU error handling would not catch."""
    use(fake_tensorrt(fails="runtime"))
    with pytest.raises(
        BackendError, match=f"TensorRT 10.3.0 does not start: {NO_CUDA}; check the driver"
    ):
        open_backend("tensorrt", bundle)
    monkeypatch.setattr(registry, "has_nvidia_gpu", lambda: True)
    assert open_backend("auto", bundle).name == "onnx"


def test_open_engine_with_missing_precision_raises(bundle: Bundle, use: Any) -> None:
    use(fake_tensorrt())
    with pytest.raises(
        BundleError, match=r"expected model.fp16.onnx .* `python -m export.add_precisions"
    ):
        tensorrt_backend.open_engine(bundle, precision="fp16")


@pytest.fixture
def with_fp16(bundle: Bundle) -> Bundle:
    """The bundle with a file for fp16; the fake does not parse it."""
    (bundle.path / PRECISIONS["fp16"]).write_bytes(bundle.onnx)
    seal(bundle.path)
    return open_bundle(bundle.path)


def test_build_command_caches_engine(with_fp16: Bundle, use: Any) -> None:
    made = use(fake_tensorrt(dla_cores=1))
    build = ["build-engine", "--model", str(with_fp16.path), "--max-faces", "2"]
    done = CliRunner().invoke(faceaffect, [*build, "--dla-core", "0", "--precision", "fp16"])
    assert done.exit_code == 0, done.output
    assert "tiny, fp16, up to 2 faces, on DLA core 0: 0.0 MB, TensorRT 10.3.0" in done.output
    (kept,) = (Path(os.environ[CACHE_VARIABLE]) / "engines").glob("*.engine")
    assert f"stored as {kept}" in done.output
    assert made.builds == 1
    done = CliRunner().invoke(faceaffect, [*build, "--dla-core", "0"])
    assert "a DLA computes in fp16 or int8, got precision fp32; add --precision fp16" in str(
        done.exception
    )
    assert made.builds == 1


def test_build_command_with_unwritable_cache_fails(
    bundle: Bundle, use: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cached engine is the purpose of the command."""
    use(fake_tensorrt())
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    done = CliRunner().invoke(faceaffect, ["build-engine", "--model", str(bundle.path)])
    assert done.exit_code == 1
    assert "engine built but not stored" in done.output
    assert "set FACEAFFECT_CACHE to a writable folder" in done.output


def test_open_backend_builds_engine_for_each_option(with_fp16: Bundle, use: Any) -> None:
    made = use(fake_tensorrt(dla_cores=2))
    variants = [
        {},
        {"precision": "fp16"},
        {"precision": "fp16", "dla_core": 0},
        {"precision": "fp16", "dla_core": 1},
    ]
    opened = [
        open_backend("tensorrt", with_fp16, options=BackendOptions(**options))
        for options in variants
    ]  # type: ignore[arg-type]
    assert [backend.precision for backend in opened] == ["float32", "float16", "float16", "float16"]
    assert made.builds == 4, "one engine for each"
    assert made.config.DLA_core == 1
    for options in variants:
        open_backend("tensorrt", with_fp16, options=BackendOptions(**options))  # type: ignore[arg-type]
    assert made.builds == 4


def test_analyze_command_with_unsupported_dla_fails(
    with_fp16: Bundle, use: Any, tmp_path: Path
) -> None:
    use(fake_tensorrt())
    clip, model = str(tmp_path / "clip.mp4"), str(with_fp16.path)
    options = ["--backend", "tensorrt", "--precision", "fp16", "--dla-core", "0"]
    (tmp_path / "clip.mp4").touch()
    done = CliRunner().invoke(faceaffect, ["analyze", clip, "--model", model, *options])
    assert "has no DLA" in str(done.exception)


def test_build_command_without_gpu_fails(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tensorrt_backend,
        "unavailable_reason",
        lambda: "no NVIDIA driver is loaded; use --backend onnx",
    )
    done = CliRunner().invoke(faceaffect, ["build-engine", "--model", str(bundle.path)])
    assert isinstance(done.exception, BackendError)
    assert "no NVIDIA driver is loaded" in str(done.exception)


def test_frame_runner_is_per_thread(
    bundle: Bundle, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake_tensorrt())
    backend = tensorrt_backend.open_engine(bundle)
    monkeypatch.setattr(tensorrt_backend, "EngineNetwork", lambda *_: object())
    monkeypatch.setattr(tensorrt_backend, "CudaFrameRunner", lambda *_, **__: object())
    runners: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: runners.extend((backend.frame_runner, backend.frame_runner))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(runner) for runner in runners}) == 3
    assert runners[0] is runners[1]


def test_infer_frame_with_lost_device_raises(
    bundle: Bundle, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake_tensorrt())
    backend = tensorrt_backend.open_engine(bundle)

    class LostRunner:
        def run_frames(self, *_: Any) -> None:
            raise RuntimeError(
                "waiting for the GPU: the GPU was lost to this process, "
                "which has to be started again"
            )

    monkeypatch.setattr(tensorrt_backend.TensorRTBackend, "frame_runner", LostRunner())
    with pytest.raises(
        BackendError, match=r"'tensorrt' failed on cuda:0: .*has to be started again"
    ):
        backend.infer_frame(None, None)  # type: ignore[arg-type]
