"""Compares latency with other packages, on the same clips in one run.

Run `python -m benchmarks.baselines.make_environments` first, then `python -m benchmarks compare`.
Each round runs every package once, in a separate process and environment, pinned to one core; the
order rotates. Times are CPU times, which other work hardly disturbs. Packages that cannot run are
listed with the reason.
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
    BASELINES,
    FACEAFFECT,
    RANDOM_WEIGHTS_CLASSES,
    Baseline,
    find_files,
    interpreter,
    with_random_weights,
)
from benchmarks.baselines.make_environments import ENVIRONMENTS
from benchmarks.compare_record import BaselineRun, ClipResult, as_json, as_markdown
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.bundle.bundle import MODEL_FILE, open_bundle
from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, TEMPLATE_SIZE_PX
from faceaffect.pipeline import open_pipeline

ROOT = Path(__file__).resolve().parents[1]
_TIME_LIMIT_S = 900
Files = dict[Baseline, dict[str, str]]


class BaselineError(RuntimeError):
    """A baseline that ran and returned no valid result."""


def offline_prefix() -> list[str]:
    """Return a command prefix that disables the network; empty if that is not permitted."""
    prefix = ["unshare", "-rn"]
    if (
        shutil.which(prefix[0])
        and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    ):
        return prefix
    return []


def run_once(
    baseline: Baseline, python: Path, job: dict[str, Any], prefix: list[str]
) -> dict[str, Any]:
    """Run a baseline over a clip in a new process.

    Raises:
        BaselineError: It failed; the message has the last line of its output.
    """
    threads = {
        name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    }
    environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if baseline is not FACEAFFECT:
        environment.pop("PYTHONPATH", None)
    command = [*prefix, str(python), str(baseline.script)]
    try:
        process = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            env=environment,
        )
        result = dict(json.loads((process.stdout.splitlines() or [""])[-1]))
        if len(result["ms"]) != len(result["boxes"]) or not result["ms"]:
            raise ValueError("expected times and boxes of the same frames")
    except subprocess.TimeoutExpired:
        raise BaselineError(f"took longer than {_TIME_LIMIT_S} s") from None
    except (ValueError, KeyError, TypeError) as error:
        message = (process.stderr.strip().splitlines() or [str(error)])[-1]
        raise BaselineError(f"failed with exit code {process.returncode}: {message}") from None
    return result


def make_job(clip: str, frames: int, model: str | None, backend: str) -> dict[str, Any]:
    """Return the input of a baseline's script, with faceaffect's face alignment for its network."""
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
    job: dict[str, Any], selected: Files, arguments: argparse.Namespace, prefix: list[str]
) -> ClipResult:
    """Run all rounds of one clip.

    A baseline that fails is skipped in further rounds.

    Raises:
        BaselineError: faceaffect failed.
    """
    runs = [BaselineRun(baseline) for baseline in selected]
    for number in range(arguments.rounds):
        available = [run for run in runs if not run.unavailable_reason]
        start = number % len(available)
        for run in available[start:] + available[:start]:
            python = (
                Path(sys.executable)
                if run.baseline is FACEAFFECT
                else interpreter(run.baseline, arguments.environments)
            )
            try:
                run.add(
                    run_once(run.baseline, python, {**job, "files": selected[run.baseline]}, prefix)
                )
            except BaselineError as error:
                if run.baseline is FACEAFFECT:
                    raise
                run.unavailable_reason = str(error)
            clip = Path(job["clip"]).name
            name = run.baseline.name
            sys.stderr.write(f"{clip}: round {number + 1} of {arguments.rounds}, {name}\n")
    return ClipResult(Path(job["clip"]).name, runs)


def choose(arguments: argparse.Namespace, made: Path) -> tuple[Files, dict[str, str]]:
    """Select the baselines that can run.

    Args:
        arguments: Options of the command line.
        made: Receives random weights.

    Returns:
        The selected baselines with the paths of their weights, faceaffect first; and the reasons
        for the others, by name.
    """
    selected: Files = {FACEAFFECT: {}}
    skipped: dict[str, str] = {}
    for baseline in BASELINES:
        files = find_files(baseline, arguments.weights)
        reason = (
            "excluded by --only"
            if arguments.only and baseline.name not in arguments.only
            else baseline.unavailable_reason
        )
        missing = sorted(set(baseline.files) - set(files))
        if not reason and arguments.random_weights and missing == [baseline.random_weights_file]:
            from benchmarks.baselines.random_weights import (
                write_random_weights,  # needs onnx
            )

            files[baseline.random_weights_file] = str(made / baseline.random_weights_file)
            write_random_weights(made / baseline.random_weights_file, RANDOM_WEIGHTS_CLASSES)
            baseline, missing = with_random_weights(baseline), []
        if not reason and missing:
            reason = (
                f"{', '.join(missing)} is not under {arguments.weights.name}/ (--weights) "
                "and no package has it"
            )
        if not reason and not interpreter(baseline, arguments.environments).is_file():
            reason = (
                f"no environment: python -m benchmarks.baselines.make_environments {baseline.name}"
            )
        if reason:
            skipped[baseline.name] = reason
        else:
            selected[baseline] = files
    return selected, skipped


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("--clip", action="append", help="may be repeated")
    parser.add_argument("--model", default=None)
    parser.add_argument("--backend", default="onnx", help="backend of faceaffect")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=0, help="maximum of each clip; 0: all")
    parser.add_argument(
        "--only",
        action="append",
        choices=[baseline.name for baseline in BASELINES],
        help="baselines to run",
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--weights", type=Path, default=ROOT.parent / "shared" / "teachers")
    parser.add_argument(
        "--random-weights",
        action="store_true",
        help="use random weights for missing ones: valid for times only",
    )
    parser.add_argument("--record", type=Path, default=None, help="folder for compare.json and .md")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {arguments.rounds}")
    if arguments.record and not arguments.record.is_dir():
        parser.error(f"--record must be an existing folder, got {arguments.record}")
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks compare`."""
    arguments = parse(argv)
    load = SystemLoadMonitor()
    prefix = offline_prefix()
    with tempfile.TemporaryDirectory() as folder:
        selected, skipped = choose(arguments, Path(folder))
        clips = []
        for clip in arguments.clip or [str(ROOT / "assets" / "demo.mp4")]:
            job = make_job(clip, arguments.frames, arguments.model, arguments.backend)
            clips.append(measure_clip(job, selected, arguments, prefix))
    with open_pipeline(arguments.model, backend=arguments.backend) as pipeline:
        info = pipeline.describe()
    facts = describe_machine() | {
        "faceaffect pipeline": ", ".join(f"{name} {fact}" for name, fact in info.items()),
        "network access of the processes": "none" if prefix else "as on this machine",
        "load during the run": "; ".join(load.stop().warnings()) or "quiet",
    }
    text = as_markdown(clips, skipped, facts)
    sys.stdout.write(text)
    if arguments.record:
        (arguments.record / "compare.md").write_text(text, encoding="utf-8")
        (arguments.record / "compare.json").write_text(
            as_json(clips, skipped, facts), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
