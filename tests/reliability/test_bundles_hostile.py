"""A bundle is data: it reads no other file, runs no loops, and takes bounded memory.

Every bundle here has right checksums, so only the checks of its content can refuse it.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save

from faceaffect.backends import BackendError, BackendOptions, onnx_session, open_backend
from faceaffect.backends.onnx_session import MAX_MEMORY_BYTES, import_onnxruntime, open_session
from faceaffect.bundle.bundle import GRAPH_FILE, MODEL_FILE, model_bytes, open_bundle
from faceaffect.bundle.check_onnx import check_onnx
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE
from faceaffect.bundle.int8_delta import INT8_CPU_DELTA_FILE
from faceaffect.bundle.model_spec import BundleError
from faceaffect.detectors.yunet import YunetDetector
from tests.reliability import hostile_bundles as hostile
from tests.sdk.tiny_bundle import seal, write_tiny_bundle

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")

EXTERNAL = {
    "initializer": hostile.external_initializer,
    "attribute": hostile.external_attribute,
    "subgraph": hostile.external_in_subgraph,
    "function": hostile.external_in_function,
    "sparse": hostile.external_in_sparse,
    "flag": hostile.external_without_flag,
}


@pytest.mark.parametrize("place", EXTERNAL)
def test_network_with_external_data_is_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"hunter2")
    monkeypatch.chdir(tmp_path)
    for location in ("secret", str(tmp_path / "secret"), "../" * 20 + str(tmp_path / "secret")[1:]):
        bundle = open_bundle(hostile.hostile_bundle(tmp_path / "bundle", EXTERNAL[place](location)))
        for backend in ("onnx", "auto"):
            with pytest.raises(BundleError, match=r"all weights in the file"):
                open_backend(backend, bundle, device="cpu")
        with pytest.raises(BundleError, match="all weights"):
            model_bytes(bundle, "fp32")


def test_session_without_check_finds_no_external_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"hunter2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(onnx_session, "check_onnx", lambda *_: None)
    folder = hostile.hostile_bundle(tmp_path / "bundle", hostile.external_initializer("../secret"))
    model = onnx.load(str(folder / MODEL_FILE), load_external_data=False)
    model.graph.node.append(onnx.helper.make_node("Identity", ["stolen"], ["out"]))
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("out", onnx.TensorProto.UINT8, [3])
    )
    with pytest.raises(BundleError, match="cannot load it"):
        open_session(model.SerializeToString(), 1, Path("model.onnx"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hostile.endless_loop, "got 'Loop'|field 6"),
        (hostile.operator("If"), "got 'If'"),
        (hostile.operator("Scan"), "got 'Scan'"),
        (hostile.operator("RandomNormal"), "got 'RandomNormal'"),
        (hostile.operator("Gelu", "com.microsoft"), "domain 'com.microsoft'"),
        (hostile.operator("Relu", "own"), "domain 'own'"),
        (hostile.training_step, "field 20"),
        (hostile.too_many_operators, "at most 20000 operators"),
    ],
    ids=["loop", "if", "scan", "random", "contrib", "custom", "training", "many"],
)
def test_network_that_is_a_program_is_refused(
    change: hostile.Change, message: str, tmp_path: Path
) -> None:
    bundle = open_bundle(hostile.hostile_bundle(tmp_path, change))
    with pytest.raises(BundleError, match=message):
        open_backend("onnx", bundle)


def test_check_onnx_copies_no_weights() -> None:
    """Opening a bundle must not take time and memory for each byte of its weights."""
    weights = onnx.numpy_helper.from_array(np.ones((8 << 20,), np.float32), "w")
    side = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [8 << 20])
    node = onnx.helper.make_node("Identity", ["w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [], [side], [weights])
    content = onnx.helper.make_model(graph).SerializeToString()
    tracemalloc.start()
    check_onnx(content, "large.onnx")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100_000 < len(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\xff" * 30, b"\x3a\x05abc", b"\x3b", b"\x3a\x00\x3a\x00", b"\x08" * 7],
)
def test_check_onnx_of_damaged_file_raises(content: bytes) -> None:
    with pytest.raises(BundleError, match="expected"):
        check_onnx(content, "model.onnx")


def test_yunet_with_external_data_is_refused(tmp_path: Path) -> None:
    folder = hostile.hostile_bundle(tmp_path, hostile.external_initializer("/etc/passwd"))
    with pytest.raises(BundleError, match="all weights"):
        YunetDetector(folder / MODEL_FILE)


def test_run_beyond_the_memory_limit_raises() -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bomb = hostile.memory_bomb(3 * MAX_MEMORY_BYTES).SerializeToString()
    session = open_session(bomb, 1, Path("bomb.onnx"))
    with pytest.raises(BackendError, match=r"bomb\.onnx: the network cannot run"):
        session.run(None, {"x": np.zeros(1, np.float32)})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 500_000


def test_constants_are_not_computed_while_loading() -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bomb = hostile.constant_bomb(3 * MAX_MEMORY_BYTES).SerializeToString()
    session = open_session(bomb, 1, Path("bomb.onnx"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 500_000
    with pytest.raises(BackendError, match="cannot run"):
        session.run(None, {"x": np.zeros(1, np.float32)})


@pytest.mark.usefixtures("trained")
def test_shipped_model_computes_the_same_within_the_limits() -> None:
    bundle = open_bundle()
    onnxruntime = import_onnxruntime()
    crops = np.random.default_rng(0).standard_normal((2, 3, 112, 112), np.float32)
    plain = onnxruntime.InferenceSession(bundle.onnx, providers=["CPUExecutionProvider"])
    session = open_session(bundle.onnx, 1, Path("model.onnx"))
    for got, expected in zip(
        session.run(None, {"crops": crops}), plain.run(None, {"crops": crops}), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("file", [FP16_DELTA_FILE, INT8_CPU_DELTA_FILE])
def test_delta_that_copies_the_model_many_times_is_refused_early(file: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path)
    size = (folder / MODEL_FILE).stat().st_size
    part = (0, 0, size // 4 if file == FP16_DELTA_FILE else size)
    tensors = {
        "literal": np.zeros(0, np.uint8),
        "parts": np.array([part] * 20_000, np.int64),
        "sha256": np.zeros(32, np.uint8),
    }
    (folder / file).write_bytes(save(tensors))
    seal(folder)
    precision = "fp16" if file == FP16_DELTA_FILE else "int8-cpu"
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match="at most 4 times the fp32 model"):
        model_bytes(open_bundle(folder), precision)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000


@posix
@pytest.mark.parametrize("file", [MODEL_FILE, GRAPH_FILE, "spec.json"])
@pytest.mark.parametrize("kind", ["link", "device", "pipe", "folder"])
def test_bundle_file_that_is_no_plain_file_is_refused(file: str, kind: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    original = tmp_path / "original"
    (folder / file).rename(original)
    if kind == "link":
        (folder / file).symlink_to(original)
    elif kind == "device":
        (folder / file).symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(folder / file)
    else:
        (folder / file).mkdir()
    caught: list[Exception] = []

    def work() -> None:
        try:
            open_bundle(folder)
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20.0)
    assert not thread.is_alive(), "it waits for a pipe"
    assert isinstance(caught[0], BundleError)
    assert "plain file" in str(caught[0])


def test_bundle_with_oversized_spec_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path)
    with (folder / "spec.json").open("ab") as stream:
        stream.truncate(2 << 20)
    with pytest.raises(BundleError, match="at most 1048576 bytes"):
        open_bundle(folder)


def test_bundle_with_many_files_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path)
    text = (folder / "spec.json").read_text()
    digest = hashlib.sha256(b"").hexdigest()
    listed = "".join(f'"f{i}": "{digest}", ' for i in range(100))
    (folder / "spec.json").write_text(text.replace('"files": {', '"files": {' + listed))
    with pytest.raises(BundleError, match="files: expected at most 64"):
        open_bundle(folder)


def test_backend_runs_a_valid_bundle(tmp_path: Path) -> None:
    backend = open_backend(
        "onnx", open_bundle(write_tiny_bundle(tmp_path)), options=BackendOptions()
    )
    assert backend.infer(np.zeros((1, 3, 112, 112), np.float32))["pose_deg"].shape == (1, 3)
