"""The eight methods on real clips: `python -m benchmarks methods --work WORK CLIP...`.

The network of each method in the leaderboard is exported and run by `faceaffect analyze`. WORK is
the working folder of `python -m training.ablations`.
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
from training.ablations.variants import FULL, LEADERBOARD, Run

CLIPS_FILE: Final = "clips"
SEED: Final = 1
_EDGE_ROWS: Final = 20  # at the beginning and the end of a clip
_COLUMNS: Final = ("AU12", "happiness", "valence")
_PEOPLE_FPS: Final = 3.0  # of the videos of RenderWild `people`, which recurrent networks expect


@dataclass(frozen=True, slots=True)
class ClipRun:
    """Outputs of a method for a clip; means are NaN for columns that it does not predict."""

    method: str
    clip: str
    rows: int
    tasks: tuple[str, ...]
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)


def clip_runs(
    paths: RunPaths, clips: Sequence[Path], on_progress: Callable[[str], None]
) -> list[ClipRun]:
    """Export each leaderboard run of seed 1, and analyze all clips with it.

    Missing runs are skipped with a message to `on_progress`.

    Raises:
        ValueError: A network cannot be exported or run.
    """
    runs: list[ClipRun] = []
    for ablation in LEADERBOARD:
        full = next(variant for variant in ablation.variants if variant.name == FULL)
        run = Run(ablation, full, SEED)
        folder = paths.run(run.name, 1.0)
        if not (folder / "weights.safetensors").is_file():
            on_progress(f"{ablation.method}: no run in {folder}, skipped")
            continue
        bundle = paths.work / "bundles" / ablation.method
        export_method(
            folder,
            bundle,
            MethodOptions(trained_on=("renderwild",), fps=_PEOPLE_FPS),
            lambda _: None,
        )
        for clip in clips:
            runs.append(_analyze(ablation.method, bundle, clip, paths.work / "clips"))
            tasks = ", ".join(runs[-1].tasks)
            on_progress(f"{ablation.method} {clip.name}: {runs[-1].rows} rows of {tasks}")
    return runs


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
    process = subprocess.run([*command, "--overwrite", "--quiet"], capture_output=True, text=True)
    if process.returncode:
        raise ValueError(
            f"{method} on {clip.name} failed with exit code {process.returncode}: "
            f"{process.stderr.strip()[-500:]}"
        )
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    task_columns = {"AU": AU_NAMES[0], "EXPR": "happiness", "VA": "valence"}
    return ClipRun(
        method,
        clip.name,
        len(rows),
        tuple(task for task, column in task_columns.items() if any(row[column] for row in rows)),
        _means(rows[:_EDGE_ROWS]),
        _means(rows[-_EDGE_ROWS:]),
    )


def _means(rows: Sequence[dict[str, str]]) -> dict[str, float]:
    values = {name: [float(row[name]) for row in rows if row[name]] for name in _COLUMNS}
    return {
        name: round(float(np.mean(column)), 3) if column else float("nan")
        for name, column in values.items()
    }


def write_clip_runs(runs: Sequence[ClipRun], folder: Path) -> None:
    """Write `clips.json` and `clips.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.dumps([asdict(run) for run in runs], indent=1)
    (folder / f"{CLIPS_FILE}.json").write_text(
        plain.replace("NaN", "null") + "\n", encoding="utf-8"
    )
    header = [
        "method",
        "clip",
        "rows",
        "predicts",
        *(f"{name}, first to last {_EDGE_ROWS} rows" for name in _COLUMNS),
    ]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for run in runs:
        spans = [_span(run.first.get(name), run.last.get(name)) for name in _COLUMNS]
        cells = (run.method, run.clip, str(run.rows), ", ".join(run.tasks), *spans)
        lines.append(f"| {' | '.join(cells)} |")
    text = (
        "# The eight compact methods on real clips\n\n"
        "Made by `python -m benchmarks methods`: each leaderboard run as a bundle, with\n"
        "`faceaffect analyze --model BUNDLE` on each clip. They were trained on rendered faces for "
        "a few\nminutes: the table shows that they run, not that they are accurate.\n\n"
    )
    (folder / f"{CLIPS_FILE}.md").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def _span(first: float | None, last: float | None) -> str:
    known = first is not None and last is not None and np.isfinite([first, last]).all()
    return f"{first:.2f} to {last:.2f}" if known else ""


def main() -> None:
    """Run `python -m benchmarks methods`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks methods", description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--record", type=Path, default=RECORDS)
    options = parser.parse_args()
    try:
        write_clip_runs(clip_runs(RunPaths((), options.work), options.clips, print), options.record)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
