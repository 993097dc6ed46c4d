"""The examples with doubles of CuPy, PyCUDA, torch and pyds over host memory."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceaffect import PixelFormat, device_frame, open_pipeline
from tests.sdk.test_pipeline import LEFT, FixedDetector, bright
from tests.sdk.tiny_bundle import write_tiny_bundle

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class OnGpu(np.ndarray):
    """Host memory with the interface of GPU memory; slices and views have it, too."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        data = (self.ctypes.data, False)
        strides = None if self.flags.c_contiguous else self.strides
        return {
            "shape": self.shape, "typestr": "|u1", "data": data, "strides": strides, "version": 3,
        }  # fmt: skip


@pytest.fixture(autouse=True)
def host_is_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_rows(to: int, origin: int, row_bytes: int, rows: int, stride: int) -> None:
        for row in range(rows):
            ctypes.memmove(to + row * row_bytes, origin + row * stride, row_bytes)

    monkeypatch.setattr(device_frame, "_download", copy_rows)
    monkeypatch.setattr(device_frame, "_wait_for", lambda stream: None)


def tiny_pipeline(folder: Path, **_: object) -> Any:
    bundle = write_tiny_bundle(folder / "tiny", size_px=112)
    return open_pipeline(bundle, backend="onnx", detector=FixedDetector(LEFT))


def test_examples_have_fewer_than_60_lines() -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    assert len(files) == 13
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 60 for path in files)


def test_cupy_nv12_frame_views_padded_surface() -> None:
    height, width, pitch = 36, 64, 80
    surface = np.random.default_rng(0).integers(0, 256, (54 + 6, pitch), np.uint8).view(OnGpu)
    frame = load("cupy_nv12").nv12_frame(surface, width, height, 0.5)
    assert (frame.width_px, frame.height_px, frame.time_s) == (width, height, 0.5)
    np.testing.assert_array_equal(frame.pixels, np.asarray(surface)[:54, :width])
    addresses = [plane["data"][0] - surface.ctypes.data for plane in frame._planes]
    assert addresses == [0, height * pitch], "views, no copies"


def test_torch_frames_yields_faces_of_each_tensor(tmp_path: Path) -> None:
    pixels = np.ascontiguousarray(bright().pixels[:, :, ::-1]).view(OnGpu)
    with tiny_pipeline(tmp_path) as pipeline:
        results = list(load("torch_frames").analyze_tensors(pipeline, [pixels] * 3, 30))
    assert [faces.track_id.tolist() for faces, _ in results] == [[1]] * 3


def test_pycuda_frames_prints_rows_of_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Memory(int):
        def __new__(cls, nbytes: int) -> Memory:
            buffer = np.zeros(nbytes, np.uint8)
            memory = super().__new__(cls, buffer.ctypes.data)
            memory.buffer = buffer  # type: ignore[attr-defined]
            return memory

    def memcpy(memory: Memory, array: np.ndarray) -> None:
        memory.buffer[:] = array.ravel()  # type: ignore[attr-defined]

    context = SimpleNamespace(push=lambda: None)
    driver = SimpleNamespace(
        init=lambda: None,
        Device=lambda _: SimpleNamespace(retain_primary_context=lambda: context),
        mem_alloc=Memory,
        memcpy_htod=memcpy,
    )
    monkeypatch.setitem(sys.modules, "pycuda", SimpleNamespace(driver=driver))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    example = load("pycuda_frames")
    monkeypatch.setattr(example, "open_pipeline", lambda **_: tiny_pipeline(tmp_path))
    frames = [bright(index / 30) for index in range(3)]

    class Source:
        def __enter__(self) -> Any:
            return iter(frames)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(example, "open_source", lambda _: Source())
    example.main("clip.mp4")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1", "1", "1"]


def test_deepstream_probe_analyzes_each_source_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = bright().pixels[:, :, ::-1]
    height, width, _ = rgb.shape
    surfaces = np.zeros((2, height, width + 16, 4), np.uint8)
    surfaces[1, :, :width, :3] = rgb  # source 0 is black
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    )

    def surface(buffer: int, batch_id: int) -> tuple[Any, ...]:
        assert buffer == hash("buffer")
        one = surfaces[batch_id]
        return np.uint8, (height, width, 4), one.strides, new(one.ctypes.data, None, None), 0

    metas = [SimpleNamespace(batch_id=i, source_id=10 + i, buf_pts=i * 10**9) for i in (0, 1)]
    second = SimpleNamespace(data=metas[1], next=None)
    first = SimpleNamespace(data=metas[0], next=second)
    pyds = SimpleNamespace(
        gst_buffer_get_nvds_batch_meta=lambda _: SimpleNamespace(frame_meta_list=first),
        NvDsFrameMeta=SimpleNamespace(cast=lambda data: data),
        get_nvds_buf_surface_gpu=surface,
    )

    def make_array(shape: Any, dtype: Any, memory: Any, strides: Any) -> Any:
        return np.lib.stride_tricks.as_strided(memory, shape, strides).view(OnGpu)

    def unowned(address: int, nbytes: int, owner: object) -> np.ndarray:
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))

    memory = SimpleNamespace(UnownedMemory=unowned, MemoryPointer=lambda memory, offset: memory)
    cupy = SimpleNamespace(
        cuda=memory,
        uint8=np.uint8,
        ndarray=make_array,
        ascontiguousarray=lambda array: np.ascontiguousarray(array).view(OnGpu),
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    pipelines = {10: tiny_pipeline(tmp_path / "a"), 11: tiny_pipeline(tmp_path / "b")}
    probe = load("deepstream_probe").AffectProbe(pipelines, pyds, "ok")
    info = SimpleNamespace(get_buffer=lambda: "buffer")
    assert probe(None, info, 0) == "ok"
    assert {source: len(faces) for source, (faces, _) in probe.results.items()} == {10: 0, 11: 1}
    assert probe.results[11][0].track_id.tolist() == [1]


def test_pixel_formats_of_examples_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py"))
    assert {name for name in ("RGB", "NV12", "BGR") if f"PixelFormat.{name}" in text} == {
        one.name for one in PixelFormat if one.name in ("RGB", "NV12", "BGR")
    }
