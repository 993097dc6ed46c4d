"""The board's networks as bundles over real clips: `python -m benchmarks methods --work WORK
CLIP ... [--record FOLDER]`.

Do all eight run through the command line, and what do they say there? WORK is that of `python -m
training.ablations`.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from export.export_method import MethodOptions, export_method
from faceaffect.labels import AU_NAMES
from training.ablations.one_run import RunPaths
from training.ablations.records import RECORDS
from training.ablations.variants import BOARD, FULL, Run

CLIPS_FILE: Final = "clips"
SEED: Final = 1
_EDGE: Final = 20  # frames at the beginning and the end of a clip
_SHOWN: Final = ("AU12", "happiness", "valence")
_PEOPLE_FPS: Final = (
    3.0  # of the videos of RenderWild `people`, whose pace networks with memory keep
)


@dataclass(frozen=True, slots=True)
class ClipRun:
    """What a method's bundle said of a clip; means are NaN where it does not read a column."""

    method: str
    clip: str
    rows: int
    columns: tuple[str, ...]  # tasks that are filled
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)


def clip_runs(places: RunPaths, clips: Sequence[Path], say: Callable[[str], None]) -> list[ClipRun]:
    """Export each board run of seed 1 and analyze all clips with it; ValueError where one cannot be
    exported or run.

    A run that was not made is left out, and said.
    """
    found = []
    for trial in BOARD:
        run = Run(trial, next(arm for arm in trial.arms if arm.name == FULL), SEED)
        folder = places.run(run.name, 1.0)
        if not (folder / "weights.safetensors").is_file():
            say(f"{trial.method}: no run in {folder}, left out")
            continue
        bundle = places.work / "bundles" / trial.method
        export_method(
            folder,
            bundle,
            MethodOptions(trained_on=("renderwild",), fps=_PEOPLE_FPS),
            lambda _: None,
        )
        for clip in clips:
            found.append(_analyze(trial.method, bundle, clip, places.work / "clips"))
            say(
                f"{trial.method} {clip.name}: {found[-1].rows} rows of {', '.join(found[-1].columns)}"
            )
    return found


def _analyze(method: str, bundle: Path, clip: Path, folder: Path) -> ClipRun:
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{method}-{clip.stem}.csv"
    command = [
        sys.executable,
        "-m",
        "faceaffect",
        "analyze",
        str(clip),
        "--model",
        str(bundle),
        "--out",
        str(out),
    ]
    done = subprocess.run([*command, "--overwrite", "--quiet"], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(
            f"{method} on {clip.name} ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        )
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    filled = {"AU": AU_NAMES[0], "EXPR": "happiness", "VA": "valence"}
    return ClipRun(
        method,
        clip.name,
        len(rows),
        tuple(task for task, column in filled.items() if any(row[column] for row in rows)),
        _means(rows[:_EDGE]),
        _means(rows[-_EDGE:]),
    )


def _means(rows: Sequence[dict[str, str]]) -> dict[str, float]:
    values = {name: [float(row[name]) for row in rows if row[name]] for name in _SHOWN}
    return {
        name: round(float(np.mean(each)), 3) if each else float("nan")
        for name, each in values.items()
    }


def write_clip_runs(runs: Sequence[ClipRun], folder: Path) -> None:
    """`clips.json` and `clips.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.dumps([asdict(run) for run in runs], indent=1)
    (folder / f"{CLIPS_FILE}.json").write_text(
        plain.replace("NaN", "null") + "\n", encoding="utf-8"
    )
    head = [
        "method",
        "clip",
        "rows",
        "reads",
        *(f"{name}, first to last {_EDGE} rows" for name in _SHOWN),
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for run in runs:
        spans = [_span(run.first.get(name), run.last.get(name)) for name in _SHOWN]
        lines.append(
            f"| {' | '.join([run.method, run.clip, str(run.rows), ', '.join(run.columns), *spans])} |"
        )
    text = (
        "# The eight compact methods on real clips\n\n"
        "Made by `python -m benchmarks methods`: each board run as a bundle, `faceaffect analyze --model BUNDLE` on\n"
        "each clip. They learned on rendered faces for a few minutes: this says that they run, not that they are right.\n\n"
    )
    (folder / f"{CLIPS_FILE}.md").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def _span(first: float | None, last: float | None) -> str:
    known = first is not None and last is not None and np.isfinite([first, last]).all()
    return f"{first:.2f} to {last:.2f}" if known else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks methods", description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--record", type=Path, default=RECORDS)
    given = parser.parse_args()
    try:
        write_clip_runs(clip_runs(RunPaths((), given.work), given.clips, print), given.record)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
