"""Fuzz targets: each takes bytes and returns; anything but the expected errors is a finding.

A target starts from `seed()`, a valid input, so that mutations get past the first checks.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from faceaffect import kernels
from faceaffect.backends.backend import BackendError
from faceaffect.backends.engine_cache import EngineCache, EngineKey
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.bundle import MODEL_FILE
from faceaffect.bundle.fp16_delta import decode_fp16
from faceaffect.bundle.int8_delta import decode_int8, encode_int8_delta
from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.kernels import GcnWeights
from faceaffect.kernels.native import native
from faceaffect.report.read_rows import ReportError, read_rows
from faceaffect.sinks import OverwritePolicy, SinkError, SinkOptions, open_sink
from faceaffect.sinks.checkpoint_file import (
    Checkpoint,
    CheckpointLog,
    SourceState,
    load_checkpoint,
)
from faceaffect.system.file_identity import FileIdentity
from faceaffect.types import Frame, PixelFormat
from tests.sdk.sinks.synthetic_results import write_frames


@dataclass(frozen=True)
class Target:
    """`run` raises nothing for any input, else there is a fault; `seed` is a valid input."""

    run: Callable[[bytes], None]
    seed: Callable[[], bytes]


@functools.cache
def _tiny() -> Path:
    from tests.sdk.tiny_bundle import write_tiny_bundle

    return write_tiny_bundle(Path(tempfile.mkdtemp(prefix="faceaffect-fuzz-")))


def _spec(data: bytes) -> None:
    folder = _tiny().parent / f"{_tiny().name}-spec-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    (folder / "spec.json").write_bytes(data)
    try:
        spec = ModelSpec.load(folder)
    except BundleError:
        return
    spec.save(folder)
    assert ModelSpec.load(folder) == spec, "a spec that was read is written and read alike"


def _onnx(data: bytes) -> None:
    try:
        session = open_session(data, 1, Path("fuzz.onnx"))
        shapes = [
            [side if isinstance(side, int) else 1 for side in each.shape]
            for each in session.get_inputs()
        ]
        if all(np.prod(shape, dtype=float) < 1 << 20 for shape in shapes):
            session.run(
                None,
                {
                    each.name: np.zeros(shape, np.float32)
                    for each, shape in zip(session.get_inputs(), shapes, strict=True)
                },
            )
    except (BundleError, BackendError):
        return


def _weights(data: bytes) -> None:
    try:
        graph = GcnWeights.from_bytes(data)
        if graph.width <= 512:
            kernels.au_gcn(np.zeros((1, 12, graph.width), np.float32), graph)
    except ValueError:
        return


def _delta(data: bytes) -> None:
    base = _base()
    for decode in (decode_fp16, decode_int8):
        try:
            model = decode(base, data)
        except ValueError:
            continue
        assert len(model) <= 4 * len(base) + len(data)


@functools.cache
def _base() -> bytes:
    return (_tiny() / MODEL_FILE).read_bytes()


def _delta_seed() -> bytes:
    base = _base()
    return encode_int8_delta(base, base[:500] + b"changed" + base[600:], [base[700:1700]])


_KEY = EngineKey("0" * 64, "TensorRT 10", "GPU", "9.0", 8, "fp16", 8, 112, None, None, False)


def _engine(data: bytes) -> None:
    cache = EngineCache(_tiny().parent / f"{_tiny().name}-cache-{os.getpid()}")
    cache.find_or_build(_KEY, lambda: b"engine")
    cache.path_for(_KEY).write_bytes(data)
    engine = cache.find(_KEY)
    if engine is not None:
        header = json.loads(data.partition(b"\n")[0])
        assert hashlib.sha256(engine).hexdigest() == header["sha256"]


def _engine_seed() -> bytes:
    cache = EngineCache(_tiny().parent / f"{_tiny().name}-cache-{os.getpid()}")
    cache.find_or_build(_KEY, lambda: b"engine")
    return cache.path_for(_KEY).read_bytes()


def _scratch(name: str) -> Path:
    return _tiny().parent / f"{_tiny().name}-{os.getpid()}-{name}"


def _checkpoint(data: bytes) -> None:
    path = _scratch("rows.csv.progress.jsonl")
    path.write_bytes(data)
    try:
        checkpoint = load_checkpoint(path)
    except SinkError:
        return
    assert checkpoint is not None
    assert checkpoint.output_bytes >= 0
    assert all(state.next_frame >= 0 for state in checkpoint.sources.values())


def _checkpoint_seed() -> bytes:
    path = _scratch("log.progress.jsonl")
    identity = FileIdentity("/videos/a.mp4", 1000, 1, "0" * 64)
    state = SourceState("a.mp4", 7, False, identity)
    checkpoint = Checkpoint(900, 2, {"smooth": "True"}, {identity.key: state})
    log = CheckpointLog(path, checkpoint)
    log.append(replace(checkpoint, output_bytes=1800), [replace(state, next_frame=14)])
    log.close()
    return path.read_bytes()


def _rows(suffix: str, data: bytes) -> None:
    path = _scratch(f"rows{suffix}")
    path.write_bytes(data)
    try:
        for chunk in read_rows(path, []):
            assert len(chunk.frame) == len(chunk.numbers) == len(chunk)
    except ReportError:
        return


def _rows_seed(suffix: str) -> bytes:
    path = _scratch(f"seed{suffix}")
    with open_sink(path, SinkOptions(OverwritePolicy.OVERWRITE)) as sink:
        sink.begin("clip.mp4")
        write_frames(sink, range(5))
        sink.end("clip.mp4")
    return path.read_bytes()


class _Values:
    """Arguments drawn from bytes: shapes, types, strides, alignment and values."""

    _TYPES = ("<f4", "<f4", "<f4", "<f8", "u1", "?", "<i8", "<f2")

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def byte(self) -> int:
        return (self._stream.read(1) or b"\0")[0]

    def array(self, *shape: int) -> np.ndarray:
        if self.byte() % 8 == 0:
            shape = tuple(self.byte() % 6 for _ in range(self.byte() % 5))
        dtype = np.dtype(
            self._TYPES[self.byte() % len(self._TYPES)] if self.byte() % 4 == 0 else "<f4"
        )
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        offset = self.byte() % 4 if self.byte() % 4 == 0 else 0
        pattern = self._stream.read(16) or b"\0"
        buffer = (pattern * (size // len(pattern) + 2))[: size + offset]
        storage = np.frombuffer(bytearray(buffer), np.uint8)[offset : offset + size]
        array = (
            np.frombuffer(storage.data, dtype).reshape(shape) if size else np.zeros(shape, dtype)
        )
        flip = self.byte() % 6
        return array[::-1] if flip == 0 and array.ndim else array.T if flip == 1 else array


def _kernels(data: bytes) -> None:
    values = _Values(data)
    n, side = values.byte() % 4, values.byte() % 40 + 1
    formats = [*PixelFormat]
    calls: list[Callable[[], object]] = [
        lambda: kernels.crop_face(
            Frame(values.array(side, side + 3, 3), formats[values.byte() % len(formats)]),
            values.array(n, 2, 3),
            size_px=values.byte() % 64,
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
            out=values.array(n, 3, 8, 8) if values.byte() % 2 else None,
        ),
        lambda: kernels.normalize(values.array(n, side, side, 3), (0.5,) * 3, (0.5,) * 3),
        lambda: kernels.au_gcn(values.array(n, 12, 4), _graph(), out=values.array(n, 12)),
    ]
    if native is not None:
        calls += [
            lambda: native.sigmoid(values.array(n)),
            lambda: native.decode_scores(
                values.array(n, 12), values.array(n, 7), values.array(n, 2), values.byte() % 2 == 1
            ),
            lambda: native.smooth_scores(
                values.array(21),
                values.array(21),
                values.array(12).astype(np.uint8).view(bool),
                values.byte() % 2 == 1,
                *map(float, values.array(3).ravel()[:3]),
                *(values.array(12) for _ in range(3)),
            ),
            lambda: native.transform_points(values.array(n, 2, 3), values.array(n, side, 2)),
            lambda: native.pose_in_frame(values.array(n, 3), values.array(n, 2, 3)),
            lambda: native.cosine_similarity(values.array(side), values.array(side)),
            lambda: native.appearance_descriptors(values.array(n, 3, 28, 28), values.array(432)),
            lambda: native.shot_change(
                values.array(side, side, 3), "BGR", values.byte(), values.byte(), None
            ),
            lambda: native.one_euro(
                values.array(n, 2), values.array(n, 2), *map(float, values.array(7).ravel()[:7])
            ),
        ]
    try:
        with np.errstate(all="ignore"):
            calls[values.byte() % len(calls)]()
    except (ValueError, TypeError):
        return


@functools.cache
def _graph() -> GcnWeights:
    return GcnWeights.from_safetensors(_tiny() / "graph.safetensors")


def _weights_seed() -> bytes:
    return (_tiny() / "graph.safetensors").read_bytes()


TARGETS = {
    "spec": Target(_spec, lambda: (_tiny() / "spec.json").read_bytes()),
    "onnx": Target(_onnx, _base),
    "weights": Target(_weights, _weights_seed),
    "delta": Target(_delta, _delta_seed),
    "engine": Target(_engine, _engine_seed),
    "checkpoint": Target(_checkpoint, _checkpoint_seed),
    "csv": Target(partial(_rows, ".csv"), partial(_rows_seed, ".csv")),
    "jsonl": Target(partial(_rows, ".jsonl"), partial(_rows_seed, ".jsonl")),
    "parquet": Target(partial(_rows, ".parquet"), partial(_rows_seed, ".parquet")),
    "kernels": Target(_kernels, lambda: bytes(range(200))),
}
