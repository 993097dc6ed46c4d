"""Ours beside the packages that a user would otherwise pick, on the same clips in one run.

`python -m benchmarks.baselines.make_environments`, then `python -m benchmarks compare
[--clip CLIP] [--weights FOLDER] [--stand-ins] [--record benchmarks/results]`. Each round runs
every package once, in a process and an environment of its own, pinned to one core; the order
turns from round to round. Times are of the processor, so other work disturbs them little. What
cannot run is named with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.baselines.baseline import (
    OURS,
    PEERS,
    STAND_IN_CLASSES,
    Peer,
    find_files,
    interpreter,
    with_stand_in,
)
from benchmarks.baselines.make_environments import ENVIRONMENTS
from benchmarks.compare_record import ClipResult, PeerRun, as_json, as_markdown
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.bundle.bundle import MODEL_FILE, open_bundle
from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, TEMPLATE_SIZE_PX
from faceaffect.pipeline import open_pipeline

ROOT = Path(__file__).resolve().parents[1]
_TIME_LIMIT_S = 900
Files = dict[Peer, dict[str, str]]


class PeerError(RuntimeError):
    """A peer that was started and gave no answer."""


def offline_prefix() -> list[str]:
    """What starts a command without any network, so that no package sends or fetches anything;
    empty where not allowed.
    """
    prefix = ["unshare", "-rn"]
    if (
        shutil.which(prefix[0])
        and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    ):
        return prefix
    return []


def run_once(peer: Peer, python: Path, job: dict[str, Any], prefix: list[str]) -> dict[str, Any]:
    """One pass over the clip; raises PeerError with the last line that the process wrote."""
    threads = {
        name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    }
    environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if peer is not OURS:
        environment.pop("PYTHONPATH", None)
    command = [*prefix, str(python), str(peer.script)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            env=environment,
        )
        answer = dict(json.loads((done.stdout.splitlines() or [""])[-1]))
        if len(answer["ms"]) != len(answer["boxes"]) or not answer["ms"]:
            raise ValueError("times and boxes must be of the same frames")
    except subprocess.TimeoutExpired:
        raise PeerError(f"took longer than {_TIME_LIMIT_S} s") from None
    except (ValueError, KeyError, TypeError) as error:
        said = (done.stderr.strip().splitlines() or [str(error)])[-1]
        raise PeerError(f"ended with {done.returncode}: {said}") from None
    return answer


def make_job(clip: str, frames: int, model: str | None, backend: str) -> dict[str, Any]:
    """What every script is told; the alignment is ours, for those who cut the same crop."""
    bundle = open_bundle(model)
    crop = bundle.spec.crop
    template_xy = (CANONICAL_KEYPOINTS_XY + 0.5) * (crop.size_px / TEMPLATE_SIZE_PX) - 0.5
    return {
        "clip": str(Path(clip).resolve()),
        "frames": frames,
        "model": model,
        "backend": backend,
        "network": str((bundle.path / MODEL_FILE).resolve()),
        "crop": {
            "size_px": crop.size_px,
            "mean": list(crop.mean),
            "std": list(crop.std),
            "template_xy": template_xy.tolist(),
        },
    }


def measure_clip(
    job: dict[str, Any], taking_part: Files, arguments: argparse.Namespace, prefix: list[str]
) -> ClipResult:
    """All rounds of one clip. A peer that fails is out for this clip, with its reason; ours must
    not fail.
    """
    runs = [PeerRun(peer) for peer in taking_part]
    for number in range(arguments.rounds):
        able = [run for run in runs if not run.unavailable_reason]
        for run in able[number % len(able) :] + able[: number % len(able)]:
            python = (
                Path(sys.executable)
                if run.peer is OURS
                else interpreter(run.peer, arguments.environments)
            )
            try:
                run.add(run_once(run.peer, python, {**job, "files": taking_part[run.peer]}, prefix))
            except PeerError as error:
                if run.peer is OURS:
                    raise
                run.unavailable_reason = str(error)
            sys.stderr.write(
                f"{Path(job['clip']).name}: round {number + 1} of {arguments.rounds}, {run.peer.name}\n"
            )
    return ClipResult(Path(job["clip"]).name, runs)


def choose(arguments: argparse.Namespace, made: Path) -> tuple[Files, dict[str, str]]:
    """Who takes part, ours first, each with the paths of its weights; and why the others do not, by
    name.

    Stand-ins are written into the folder `made`.
    """
    taking_part: Files = {OURS: {}}
    refused: dict[str, str] = {}
    for peer in PEERS:
        files = find_files(peer, arguments.weights)
        reason = (
            "left out (--only)"
            if arguments.only and peer.name not in arguments.only
            else peer.unavailable_reason
        )
        missing = sorted(set(peer.files) - set(files))
        if not reason and arguments.stand_ins and missing == [peer.stand_in]:
            from benchmarks.baselines.random_weights import (
                write_stand_in,  # needs onnx, nothing else here does
            )

            files[peer.stand_in] = str(made / peer.stand_in)
            write_stand_in(made / peer.stand_in, STAND_IN_CLASSES)
            peer, missing = with_stand_in(peer), []
        if not reason and missing:
            reason = f"{', '.join(missing)} is not under {arguments.weights.name}/ (--weights) and no package brings it"
        if not reason and not interpreter(peer, arguments.environments).is_file():
            reason = f"no environment: python -m benchmarks.baselines.make_environments {peer.name}"
        if reason:
            refused[peer.name] = reason
        else:
            taking_part[peer] = files
    return taking_part, refused


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Options; ends with a message where they cannot be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("--clip", action="append", help="more than once for more clips")
    parser.add_argument("--model", default=None)
    parser.add_argument("--backend", default="onnx", help="of ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=0, help="most to take of each clip; 0: all")
    parser.add_argument(
        "--only", action="append", choices=[peer.name for peer in PEERS], help="peers to run"
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--weights", type=Path, default=ROOT.parent / "shared" / "teachers")
    parser.add_argument(
        "--stand-ins",
        action="store_true",
        help="random weights where published ones are missing: times alone",
    )
    parser.add_argument(
        "--record", type=Path, default=None, help="folder for side_by_side.json and .md"
    )
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {arguments.rounds}")
    if arguments.record and not arguments.record.is_dir():
        parser.error(f"--record must be a folder that is there, got {arguments.record}")
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks compare`."""
    arguments = parse(argv)
    watch, prefix = SystemLoadMonitor(), offline_prefix()
    with tempfile.TemporaryDirectory() as folder:
        taking_part, refused = choose(arguments, Path(folder))
        clips = []
        for clip in arguments.clip or [str(ROOT / "assets" / "demo.mp4")]:
            job = make_job(clip, arguments.frames, arguments.model, arguments.backend)
            clips.append(measure_clip(job, taking_part, arguments, prefix))
    with open_pipeline(arguments.model, backend=arguments.backend) as pipeline:
        ours = pipeline.describe()
    about = describe_machine() | {
        "ours": ", ".join(f"{name} {fact}" for name, fact in ours.items()),
        "network of the processes": "none" if prefix else "as on this machine",
        "others during the run": "; ".join(watch.stop().warnings()) or "quiet",
    }
    text = as_markdown(clips, refused, about)
    sys.stdout.write(text)
    if arguments.record:
        (arguments.record / "compare.md").write_text(text, encoding="utf-8")
        (arguments.record / "compare.json").write_text(
            as_json(clips, refused, about), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
