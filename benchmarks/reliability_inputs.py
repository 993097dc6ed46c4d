"""Reads mutated inputs of one kind, in a process of its own that may crash.

`python -m benchmarks.reliability_inputs KIND CLIP FOLDER SEED COUNT` prints a line per case: `ok`,
`refused` (by one of our errors), `foreign` and the exception, or `memory` and the peak in MB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from faceaffect.backends.engine_cache import EngineCache, EngineKey, _header
from faceaffect.bench.configuration import BenchError
from faceaffect.bench.metrics import metrics_of
from faceaffect.bench.record import Record
from faceaffect.bundle.bundle import find_bundle, open_bundle
from faceaffect.errors import FaceAffectError
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import ReportError, read_rows
from faceaffect.sinks import OverwritePolicy, Sink, SinkOptions, open_sink
from faceaffect.sinks.checkpoint_file import checkpoint_path
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.open_source import open_source
from faceaffect.types import Affect, Faces, FrameInfo
from training.datasets.affwild2_annotations import read_multi_task_file, read_task_file
from training.datasets.broken_data import BrokenFileError

_MAX_MEMORY_MB: Final = 2000
_OURS: Final = (FaceAffectError, ReportError, BenchError, BrokenFileError)
_WORDS: Final[tuple[object, ...]] = (
    *(None, True, -1, 0, 1 << 40, 1 << 70, 1.5, float("nan"), "", "x", "../x", [], {}, [[]]),
)
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
        case = KINDS[options.kind](options.clip, folder, chance)
        try:
            case()
            outcome = "ok"
        except _OURS:
            outcome = "refused"
        except Exception as error:
            outcome = f"foreign {type(error).__name__}: {error}".replace("\n", " ")
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"memory {peak_mb}" if peak_mb > _MAX_MEMORY_MB else outcome, flush=True)
        if peak_mb > _MAX_MEMORY_MB:
            return
    shutil.rmtree(folder, ignore_errors=True)


def _mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    """Flip, overwrite, remove, insert or cut some bytes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 2, 8, 64))):
        at = chance.randrange(max(len(data), 1))
        kind = chance.randrange(5)
        if kind == 0 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + 4] = chance.choice(
                (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")
            )
        elif kind == 2:
            del data[at : at + chance.randrange(1, 64)]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 64))
        elif chance.random() < 0.2:
            del data[at:]
    return bytes(data)


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


def _video(clip: Path, folder: Path, chance: random.Random) -> Case:
    path = folder / f"video{clip.suffix}"
    path.write_bytes(_mutate_bytes(clip.read_bytes(), chance))
    return lambda: _read_all(path)


def _image(clip: Path, folder: Path, chance: random.Random) -> Case:
    suffix = chance.choice((".png", ".jpg", ".webp", ".bmp", ".tiff"))
    image = np.random.default_rng(chance.randrange(1 << 30)).integers(0, 255, (48, 64, 3), np.uint8)
    _, data = import_opencv().imencode(suffix, image)
    path = folder / f"image{suffix}"
    path.write_bytes(_mutate_bytes(data.tobytes(), chance))
    return lambda: _read_all(path)


def _bundle(clip: Path, folder: Path, chance: random.Random) -> Case:
    copy = folder / "bundle"
    if not copy.exists():
        shutil.copytree(find_bundle(), copy)
    name = chance.choice(("spec.json", "spec.json", "spec.json", "graph.safetensors"))
    original = find_bundle() / name
    content = original.read_bytes()
    if name == "spec.json" and chance.random() < 0.7:
        changed = json.dumps(_mutate_json(json.loads(content), chance)).encode()
    else:
        changed = _mutate_bytes(content, chance)
    (copy / name).write_bytes(changed)

    def read() -> None:
        try:
            open_bundle(copy)
        finally:
            shutil.copy(original, copy / name)

    return read


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
    from tests.sdk.bench.synthetic_records import synthetic_record

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
