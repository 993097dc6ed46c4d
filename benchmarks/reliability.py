"""A reliability campaign: `python -m benchmarks reliability --minutes N --record FILE`.

Parts: mutated inputs (videos, images, bundles, rows, progress, annotations, engines, records), runs
that are killed and resumed (CSV, JSON Lines, Parquet, overlay, processes, folder), full disks, a
soak, threads and traced system calls. Failures are: crash, hang, memory over a limit, an exception
of another package, a row lost or doubled, memory that grows, a socket.
`benchmarks/reliability_inputs.py` has the mutations.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.reliability_inputs import KINDS
from faceaffect.bench.machine import describe_machine
from faceaffect.pipeline import open_pipeline
from faceaffect.sinks import ThreadedSink, open_sink
from faceaffect.sources.open_source import open_source

_CLIP: Final = Path(__file__).resolve().parents[2] / "shared/data/videos/grid_bbaf2n.mpg"
_SHARES: Final = {
    "inputs": 0.2,
    "kills": 0.52,
    "disks": 0.05,
    "soak": 0.16,
    "threads": 0.04,
    "sockets": 0.03,
}
"""Fractions of the time."""
_CASES_PER_PROCESS: Final = 400
_CASE_TIMEOUT_S: Final = 120.0  # of a process's silence
_RUN_TIMEOUT_S: Final = 300.0
_MAX_GROWTH_MB: Final = 16.0
_ANALYZE: Final = (sys.executable, "-m", "faceaffect", "analyze")
_RUNS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "csv": ("rows.csv", ()),
    "jsonl": ("rows.jsonl", ()),
    "parquet": ("rows.parquet", ()),
    "overlay": ("rows.csv", ("--overlay", "overlay.avi")),
    "jobs": ("rows.csv", ("--jobs", "2")),
    "folder": ("parts/", ("--jobs", "2", "--output-format", "csv")),
}


@dataclass(slots=True)
class Campaign:
    """Counts by part and outcome, and a line for each failure."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def fail(self, text: str) -> None:
        """Record a failure."""
        print(f"FAILURE {text}", flush=True)
        self.failures.append(text)


def main() -> None:
    """Run the campaign and write its record; the exit code is 1 after a failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--clip", type=Path, default=_CLIP)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", default=list(_SHARES), choices=list(_SHARES))
    options = parser.parse_args()
    if not options.clip.is_file():
        raise SystemExit(f"{options.clip}: expected a clip; pass one by --clip")
    campaign = Campaign()
    chance = random.Random(options.seed)
    parts: dict[str, Callable[[Path, Path, random.Random, float, Campaign], None]] = {
        "inputs": _mutated_inputs,
        "kills": _killed_runs,
        "disks": _full_disks,
        "soak": _soak,
        "threads": _threads,
        "sockets": _sockets,
    }
    total = sum(_SHARES[name] for name in options.parts)
    started_s = time.monotonic()
    for name in options.parts:
        seconds = 60 * options.minutes * _SHARES[name] / total
        with tempfile.TemporaryDirectory(prefix="faceaffect-reliability-") as folder:
            clip = Path(shutil.copy(options.clip, folder))
            parts[name](Path(folder), clip, chance, time.monotonic() + seconds, campaign)
        print(name, dict(sorted(campaign.counts.items())), flush=True)
    record = {
        "minutes": round((time.monotonic() - started_s) / 60, 1),
        "seed": options.seed,
        "clip": options.clip.name,
        "machine": describe_machine(),
        "load_average": os.getloadavg(),
        "failures": campaign.failures,
        "counts": dict(sorted(campaign.counts.items())),
    }
    options.record.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    sys.exit(1 if campaign.failures else 0)


def _mutated_inputs(
    folder: Path, clip: Path, chance: random.Random, end_s: float, campaign: Campaign
) -> None:
    """Let processes read mutated inputs of each kind in turn."""
    kinds = list(KINDS)
    while time.monotonic() < end_s:
        kind = kinds[0]
        kinds = [*kinds[1:], kind]
        seed = chance.randrange(1 << 30)
        command = [sys.executable, "-m", "benchmarks.reliability_inputs", kind, str(clip)]
        command += [str(folder), str(seed), str(_CASES_PER_PROCESS)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        cases = _read_cases(process, kind, campaign)
        code = process.wait()
        if code:
            campaign.fail(f"{kind} seed {seed} case {cases}: the process ended with {code}")


def _read_cases(process: subprocess.Popen[bytes], kind: str, campaign: Campaign) -> int:
    """Count the outcomes that a process prints; kill it if it is silent for too long."""
    assert process.stdout is not None
    cases = 0
    while True:
        timer = threading.Timer(_CASE_TIMEOUT_S, process.kill)
        timer.start()
        line = process.stdout.readline().decode().rstrip("\n")
        timer.cancel()
        if not line:
            return cases
        cases += 1
        outcome, _, detail = line.partition(" ")
        campaign.counts[f"inputs {kind} {outcome}"] += 1
        campaign.counts["inputs"] += 1
        if outcome not in ("ok", "refused"):
            campaign.fail(f"{kind}: {outcome} {detail}")


def _killed_runs(
    folder: Path, clip: Path, chance: random.Random, end_s: float, campaign: Campaign
) -> None:
    """Kill runs at random moments, resume them, and compare the rows with an unbroken run."""
    videos = folder / "videos"
    videos.mkdir()
    for number in range(3):
        shutil.copy(clip, videos / f"{number}{clip.suffix}")
    unbroken: dict[str, tuple[Counter[tuple[str, ...]], float]] = {}
    number = 0
    while time.monotonic() < end_s:
        name = list(_RUNS)[number % len(_RUNS)]
        number += 1
        work = folder / f"run{number}"
        work.mkdir()
        if name not in unbroken:
            started_s = time.monotonic()
            code = _start(name, clip, videos, work).wait(_RUN_TIMEOUT_S)
            unbroken[name] = (_rows(work, name), time.monotonic() - started_s)
            if code:
                campaign.fail(f"kills {name}: an unbroken run ended with {code}")
            shutil.rmtree(work)
            work.mkdir()
        expected, duration_s = unbroken[name]
        one = chance.choice((signal.SIGKILL, signal.SIGTERM))
        process = _start(name, clip, videos, work)
        time.sleep(duration_s * chance.uniform(0.2, 0.95))
        process.send_signal(one)
        try:
            code = process.wait(_RUN_TIMEOUT_S)
            if code not in (0, -one, 128 + one):
                campaign.fail(f"kills {name}: {one.name} ended with {code}")
            campaign.counts[f"kills {name} {one.name}"] += 1
            campaign.counts["kills" if code else "kills after the end"] += 1
            if code == 0:  # the machine is faster than it was
                unbroken[name] = (expected, 0.8 * duration_s)
            _resume(name, clip, videos, work)
        except subprocess.TimeoutExpired:
            process.kill()
            campaign.fail(f"kills {name}: hangs")
        rows = _rows(work, name)
        if rows != expected:
            lost, doubled = (expected - rows).total(), (rows - expected).total()
            campaign.fail(f"kills {name} {one.name}: {lost} rows lost, {doubled} doubled or other")
        leftovers = [path.name for path in work.rglob("*") if path.suffix in (".tmp", ".jsonl")]
        leftovers = [path for path in leftovers if path not in ("rows.jsonl", "inputs.jsonl")]
        if leftovers:
            campaign.fail(f"kills {name}: leftovers {leftovers}")
        shutil.rmtree(work)


def _start(
    name: str,
    clip: Path,
    videos: Path,
    work: Path,
    *more: str,
    limit_bytes: int = 0,
    prefix: tuple[str, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a run, as an argument of the command `prefix` if there is one.

    `limit_bytes` bounds the size of its files, as a full disk does.
    """
    out, options = _RUNS[name]
    source = str(videos) if name == "folder" else str(clip)
    command = [
        *prefix,
        *_ANALYZE,
        source,
        "--out",
        out,
        "--precision",
        "fp32",
        "--quiet",
        *options,
        *more,
    ]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        command,
        cwd=work,
        stderr=subprocess.DEVNULL,
        preexec_fn=limit if limit_bytes else None,
    )


def _resume(name: str, clip: Path, videos: Path, work: Path) -> int:
    """Continue a stopped run; one that ended or never began is made anew."""
    has_progress = any(work.glob("*.progress.jsonl"))
    if name == "folder":
        return _start(name, clip, videos, work).wait(_RUN_TIMEOUT_S)
    if not has_progress and any(work.glob("rows.*")) and _rows(work, name):
        return 0  # it had ended
    more = ("--resume",) if has_progress else ("--overwrite",)
    return _start(name, clip, videos, work, *more).wait(_RUN_TIMEOUT_S)


def _rows(work: Path, name: str) -> Counter[tuple[str, ...]]:
    """Return source, frame and track id of every row."""
    keys: Counter[tuple[str, ...]] = Counter()
    for path in sorted(work.rglob("*")):
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream))
        elif path.name == "rows.jsonl":
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        elif path.name == "rows.parquet":
            from pyarrow import parquet

            rows = parquet.read_table(path).to_pylist()
        else:
            continue
        keys.update(tuple(str(row[key]) for key in ("source", "frame", "track_id")) for row in rows)
    return keys


def _full_disks(
    folder: Path, clip: Path, chance: random.Random, end_s: float, campaign: Campaign
) -> None:
    """Let the disk fill up at random sizes; then resume with room."""
    videos = folder / "videos"
    videos.mkdir()
    shutil.copy(clip, videos)
    number = 0
    expected: dict[str, Counter[tuple[str, ...]]] = {}
    while time.monotonic() < end_s:
        name = ("csv", "jsonl", "parquet", "folder")[number % 4]
        number += 1
        work = folder / f"run{number}"
        work.mkdir()
        if name not in expected:
            _start(name, clip, videos, work).wait(_RUN_TIMEOUT_S)
            expected[name] = _rows(work, name)
            shutil.rmtree(work)
            work.mkdir()
        limit_bytes = chance.randrange(2_000, 16_000)
        code = _start(name, clip, videos, work, limit_bytes=limit_bytes).wait(_RUN_TIMEOUT_S)
        campaign.counts["full disks"] += 1
        if code != 1:
            campaign.fail(f"disks {name}: {limit_bytes} bytes ended with {code}, expected 1")
        _resume(name, clip, videos, work)
        if _rows(work, name) != expected[name]:
            campaign.fail(f"disks {name}: rows lost or doubled after {limit_bytes} bytes")
        shutil.rmtree(work)


def _soak(
    folder: Path, clip: Path, chance: random.Random, end_s: float, campaign: Campaign
) -> None:
    """Analyze frames into one file; memory, descriptors and threads must not grow."""
    with open_source(clip) as source:
        frames = list(source)
    frame_s = frames[-1].time_s + 1 / 25
    before: tuple[float, int, int] | None = None
    now = (0.0, 0, 0)
    count = 0
    with (
        open_pipeline(precision="fp32") as pipeline,
        ThreadedSink(open_sink(folder / "soak.csv")) as sink,
    ):
        sink.begin(str(clip))
        while time.monotonic() < end_s:
            for frame in frames:
                time_s = frame.time_s + frame_s * (count // len(frames))
                moved = replace(frame, time_s=time_s, index=count)
                sink.write(moved, *pipeline.analyze(moved))
                count += 1
            now = (_resident_mb(), len(os.listdir("/proc/self/fd")), threading.active_count())
            if before is None and count > 10 * len(frames):
                before = now
        sink.end(str(clip))
    campaign.counts["soak frames"] += count
    if before is None:
        return
    campaign.counts["soak memory growth, MB"] = max(0, round(now[0] - before[0]))
    if now[0] > before[0] + _MAX_GROWTH_MB or now[1:] > before[1:]:
        campaign.fail(f"soak: memory in MB, descriptors, threads {before} grew to {now}")


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def _threads(
    folder: Path, clip: Path, chance: random.Random, end_s: float, campaign: Campaign
) -> None:
    """Run 8 threads with a pipeline each; their results must equal the serial one."""
    with open_source(clip) as source:
        frames = list(source)

    def analyze(results: list[bytes]) -> None:
        with open_pipeline(precision="fp32") as pipeline:
            parts = []
            for frame in frames:
                faces, affect = pipeline.analyze(frame)
                parts += [faces.box_xyxy, faces.track_id, affect.au_probability, affect.valence]
            results.append(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))

    serial: list[bytes] = []
    analyze(serial)
    while True:
        results: list[bytes] = []
        threads = [threading.Thread(target=analyze, args=(results,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        campaign.counts["threads with equal results"] += results.count(serial[0])
        if len(results) != 8 or set(results) != set(serial):
            campaign.fail("threads: a result differs from the serial one")
        if time.monotonic() >= end_s:
            return


def _sockets(
    folder: Path, clip: Path, chance: random.Random, end_s: float, campaign: Campaign
) -> None:
    """Trace a run of each kind; it must not call the network."""
    if shutil.which("strace") is None:
        print("sockets: strace is not installed", flush=True)
        return
    videos = folder / "videos"
    videos.mkdir()
    shutil.copy(clip, videos)
    for name in _RUNS:
        work = folder / name
        work.mkdir()
        log = work / "calls.log"
        trace = ("strace", "-f", "-qq", "-e", "trace=network", "-o", str(log))
        code = _start(name, clip, videos, work, prefix=trace).wait(_RUN_TIMEOUT_S)
        calls = [line for line in log.read_text(errors="replace").splitlines() if "(" in line]
        campaign.counts["traced runs"] += 1
        campaign.counts["network calls"] += len(calls)
        if code or calls:
            campaign.fail(f"sockets {name}: ended with {code}, network calls: {calls[:3]}")


if __name__ == "__main__":
    main()
