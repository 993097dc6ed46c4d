"""Reads mutated inputs of one kind, in a process of its own that may crash.

`python -m benchmarks.reliability_inputs KIND CLIP FOLDER SEED COUNT` prints a line per case: `ok`,
`refused` (by one of our errors), `foreign` and the exception, or `memory` and the peak in MB.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.mutate_bytes import mutate
from benchmarks.synthetic_records import synthetic_record
from faceaffect.backends import BackendOptions, open_backend
from faceaffect.backends.engine_cache import EngineCache, EngineKey, _header
from faceaffect.bench.configuration import BenchError
from faceaffect.bench.metrics import metrics_of
from faceaffect.bench.record import Record
from faceaffect.bundle.bundle import find_bundle, open_bundle
from faceaffect.bundle.model_spec import SPEC_FILE
from faceaffect.errors import FaceAffectError
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import ReportError, read_rows
from faceaffect.sinks import OverwritePolicy, Sink, SinkOptions, open_sink
from faceaffect.sinks.checkpoint_file import checkpoint_path
from faceaffect.sources.open_source import open_source
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import Affect, Faces, FrameInfo
from training.datasets.affwild2_annotations import read_multi_task_file, read_task_file
from training.datasets.broken_data import BrokenFileError

_MAX_MEMORY_MB: Final = 2000
_OURS: Final = (FaceAffectError, ReportError, BenchError, BrokenFileError)
_WORDS: Final[tuple[object, ...]] = (
    *(None, True, -1, 0, 1 << 40, 1 << 70, 1.5, float("nan"), "", "x", "../x", [], {}, [[]]),
)
_CLIPS: Final = (
    (".mp4", "mp4", "libx264", "yuv420p"),
    (".mkv", "matroska", "libx264", "yuv420p"),
    (".avi", "avi", "mjpeg", "yuvj420p"),
    (".webm", "webm", "libvpx", "yuv420p"),
    (".m4v", "mp4", "mpeg4", "yuv420p"),
)
"""Suffix, container, codec and pixel format."""
Case = Callable[[], None]
Maker = Callable[[Path, Path, random.Random], Case]


def main() -> None:
    """Read mutated inputs and print outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("clip", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = options.folder / f"inputs-{options.kind}"
    folder.mkdir(exist_ok=True)
    for _ in range(options.count):
        outcome = outcome_of(KINDS[options.kind](options.clip, folder, chance))
        peak_mb = _peak_mb()
        print(f"memory {peak_mb}" if peak_mb > _MAX_MEMORY_MB else outcome, flush=True)
        if peak_mb > _MAX_MEMORY_MB:
            return
    shutil.rmtree(folder, ignore_errors=True)


def outcome_of(case: Case) -> str:
    """Read an input: `ok`, `refused`, or `foreign` and the exception."""
    try:
        case()
    except _OURS:
        return "refused"
    except Exception as error:
        return f"foreign {type(error).__name__}: {error}".replace("\n", " ")
    return "ok"


def _peak_mb() -> int:
    """Largest memory of this process; `ru_maxrss` begins with that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    return mutate(content, chance.randrange(1 << 30))


def _mutate_json(value: object, chance: random.Random) -> object:
    """Replace one value somewhere in a JSON document."""
    path: list[tuple[dict[str, object] | list[object], str | int]] = []
    node = value
    while isinstance(node, (dict, list)) and node:
        key: str | int = (
            chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        )
        path.append((node, key))
        node = node[key]  # type: ignore[index]
    if path:
        holder, key = chance.choice(path)
        holder[key] = chance.choice(_WORDS)  # type: ignore[index]
    return value


def _read_all(path: Path) -> None:
    with open_source(path) as source:
        for _ in source:
            pass


@cache
def _encoded_clip(container: str, codec: str, pixel_format: str) -> bytes:
    """A short video of moving noise."""
    import av

    random_pixels = np.random.default_rng(0)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        for _ in range(12):
            image = random_pixels.integers(0, 255, (64, 96, 3), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode())
    return buffer.getvalue()


def _video(clip: Path, folder: Path, chance: random.Random) -> Case:
    number = chance.randrange(len(_CLIPS) + 1)
    if number == len(_CLIPS):
        path, content = folder / f"video{clip.suffix}", clip.read_bytes()
    else:
        suffix, *encoding = _CLIPS[number]
        path, content = folder / f"video{suffix}", _encoded_clip(*encoding)
    path.write_bytes(_mutate_bytes(content, chance))
    return lambda: _read_all(path)


def _image(clip: Path, folder: Path, chance: random.Random) -> Case:
    suffix = chance.choice((".png", ".jpg", ".webp", ".bmp", ".tiff"))
    image = np.random.default_rng(chance.randrange(1 << 30)).integers(0, 255, (48, 64, 3), np.uint8)
    _, data = import_opencv().imencode(suffix, image)
    path = folder / f"image{suffix}"
    path.write_bytes(_mutate_bytes(data.tobytes(), chance))
    return lambda: _read_all(path)


def _bundle(clip: Path, folder: Path, chance: random.Random) -> Case:
    """A bundle with a changed file; the checksums of all but the spec are corrected."""
    copy = folder / "bundle"
    if not copy.exists():
        shutil.copytree(find_bundle(), copy)
    name = chance.choice((SPEC_FILE, SPEC_FILE, *json.loads(_original(SPEC_FILE))["files"]))
    content = _original(name)
    if name == SPEC_FILE and chance.random() < 0.7:
        changed = json.dumps(_mutate_json(json.loads(content), chance)).encode()
    else:
        changed = _mutate_bytes(content, chance)
    (copy / name).write_bytes(changed)
    if name != SPEC_FILE:
        spec = json.loads(_original(SPEC_FILE))
        spec["files"][name] = hashlib.sha256(changed).hexdigest()
        (copy / SPEC_FILE).write_text(json.dumps(spec), encoding="utf-8")

    def run() -> None:
        try:
            bundle = open_bundle(copy)
            if name != SPEC_FILE:
                precision = "int8" if "int8" in name else "fp32"
                size = bundle.spec.crop.size_px
                crops = np.zeros((1, 3, size, size), np.float32)
                options = BackendOptions(precision=precision)
                open_backend("onnx", bundle, device="cpu", options=options).infer(crops)
        finally:
            for file in {name, SPEC_FILE}:
                (copy / file).write_bytes(_original(file))

    return run


@cache
def _original(name: str) -> bytes:
    return (find_bundle() / name).read_bytes()


def write_rows(sink: Sink, frames: Iterable[int], source: str = "clip.mp4") -> None:
    """Write frames with one synthetic face each."""
    faces = Faces(
        np.array([[10, 10, 90, 90]], np.float32),
        np.zeros((1, 68, 2), np.float32),
        np.ones(1, np.int64),
        np.ones(1, np.float32),
        np.ones(1, np.float32),
        np.zeros((1, 3), np.float32),
    )
    au = np.full((1, len(AU_NAMES)), 0.6, np.float32)
    expression = np.full((1, len(EXPRESSION_NAMES)), 1 / len(EXPRESSION_NAMES), np.float32)
    zero = np.zeros(1, np.float32)
    affect = Affect(au, au > 0.5, expression, zero, zero)
    for index in frames:
        sink.write(FrameInfo(source, index, index / 25), faces, affect)


def _unfinished(path: Path) -> None:
    sink = open_sink(path, SinkOptions(OverwritePolicy.OVERWRITE))
    for source, count in (("a.mp4", 3), ("clip.mp4", 9)):
        sink.begin(source)
        write_rows(sink, range(count), source)
        if source == "a.mp4":
            sink.end(source)
    sink.close(is_complete=False)


def _rows(clip: Path, folder: Path, chance: random.Random) -> Case:
    path = folder / chance.choice(("rows.csv", "rows.jsonl", "rows.parquet"))
    _unfinished(path)
    path.write_bytes(_mutate_bytes(path.read_bytes(), chance))

    def read() -> None:
        for _ in read_rows(path, []):
            pass

    return read


def _progress(clip: Path, folder: Path, chance: random.Random) -> Case:
    path = folder / chance.choice(("rows.csv", "rows.jsonl"))
    _unfinished(path)
    log = checkpoint_path(path)
    victim = chance.choice((log, log, path))
    if victim == log and chance.random() < 0.6:
        lines = log.read_text(encoding="utf-8").splitlines()
        row = chance.randrange(len(lines))
        lines[row] = json.dumps(_mutate_json(json.loads(lines[row]), chance))
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        victim.write_bytes(_mutate_bytes(victim.read_bytes(), chance))

    def resume() -> None:
        with open_sink(path, SinkOptions(OverwritePolicy.RESUME)) as sink:
            point = sink.begin("clip.mp4")
            write_rows(sink, range(point.next_frame, point.next_frame + 3))

    return resume


def _annotations(clip: Path, folder: Path, chance: random.Random) -> Case:
    task = chance.choice(("AU", "EXPR", "VA", "MTL"))
    text = {
        "AU": ",".join(AU_NAMES) + "\n" + "0,1,0,1,0,0,1,0,0,0,1,-1\n" * 20,
        "EXPR": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n" + "0\n-1\n7\n" * 9,
        "VA": "valence,arousal\n" + "0.1,-0.5\n-5,-5\n" * 9,
        "MTL": "image,valence,arousal,expression,aus\n" + "a/00001.jpg,0.1,0.2,3,0,1\n" * 9,
    }[task]
    path = folder / "annotations.txt"
    path.write_bytes(_mutate_bytes(text.encode(), chance))
    if task == "MTL":
        return lambda: void(read_multi_task_file(path))
    return lambda: void(read_task_file(path, task))  # type: ignore[arg-type]


def void(_value: object) -> None:
    """Drop a value."""


def _engine(clip: Path, folder: Path, chance: random.Random) -> Case:
    cache = EngineCache(folder)
    key = EngineKey("0" * 64, "TensorRT 10", "GPU", "9.0", 8, "fp16", 8, 224, None, None, False)
    path = cache.path_for(key)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    engine = bytes(range(256)) * 8
    content = json.dumps(_header(key, engine)).encode() + b"\n" + engine
    path.write_bytes(_mutate_bytes(content, chance))

    def find() -> None:
        found = cache.find(key)
        if found is not None and found != engine:
            raise AssertionError("a wrong engine was found")

    return find


def _record(clip: Path, folder: Path, chance: random.Random) -> Case:
    path = folder / "record.json"
    synthetic_record(rounds=2).save(path)
    if chance.random() < 0.7:
        path.write_text(json.dumps(_mutate_json(json.loads(path.read_text()), chance)))
    else:
        path.write_bytes(_mutate_bytes(path.read_bytes(), chance))

    def read() -> None:
        for result in Record.load_file(path).results:
            for metric in metrics_of(result):
                asdict(metric)

    return read


KINDS: Final[dict[str, Maker]] = {
    "videos": _video,
    "images": _image,
    "bundles": _bundle,
    "rows": _rows,
    "progress": _progress,
    "annotations": _annotations,
    "engines": _engine,
    "records": _record,
}


if __name__ == "__main__":
    sys.setrecursionlimit(1000)
    main()
