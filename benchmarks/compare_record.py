"""Results of `python -m benchmarks compare`, as a table and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from benchmarks.baselines.baseline import BASELINES, FACEAFFECT, Baseline
from faceaffect.bench.percentiles import Distribution

Box = list[float]
_COLUMNS: Final = (
    "",
    "computes",
    "frames with a face",
    "same face",
    "p50",
    "p95",
    "p99",
    "mean",
    "first result, s",
    "ratio",
    "ratio of means",
)


@dataclass(slots=True)
class BaselineRun:
    """All rounds of one package on one clip; `unavailable_reason` is set if it failed."""

    baseline: Baseline
    rounds_ms: list[list[float]] = field(default_factory=list)
    first_result_s: list[float] = field(default_factory=list)
    boxes: list[list[Box]] = field(default_factory=list)  # of each frame, in the last round
    versions: dict[str, str] = field(default_factory=dict)
    size_px: tuple[int, int] = (0, 0)
    unavailable_reason: str = ""

    def add(self, result: dict[str, Any]) -> None:
        """Add a round: the output of the baseline's script."""
        self.rounds_ms.append(result["ms"])
        self.first_result_s.append(result["first_result_s"])
        self.boxes = result["boxes"]
        self.versions = result["versions"]
        self.size_px = (result["size_px"][0], result["size_px"][1])


@dataclass(slots=True)
class LatencyRatio:
    """Latency of a baseline relative to faceaffect, over the frames with the same detected face."""

    frames_with_face: int
    same_frames: list[int]
    ratios: list[float]
    """Median of the baseline over median of faceaffect, by round."""
    ratios_of_means: list[float]


@dataclass(slots=True)
class ClipResult:
    """Runs of all packages on one clip, faceaffect first."""

    clip: str
    runs: list[BaselineRun]

    def latency_ratio(self, run: BaselineRun) -> LatencyRatio:
        """Compare a run with faceaffect."""
        ours = self.runs[0]
        same = [
            i
            for i, boxes in enumerate(run.boxes)
            if i < len(ours.boxes) and _has_same_face(ours.boxes[i], boxes)
        ]
        frames_with_face = sum(bool(boxes) for boxes in run.boxes)
        pairs = zip(ours.rounds_ms, run.rounds_ms, strict=False) if same else ()
        taken = [(np.take(a, same), np.take(b, same)) for a, b in pairs]
        ratios = [float(np.median(b) / np.median(a)) for a, b in taken]
        return LatencyRatio(
            frames_with_face, same, ratios, [float(b.mean() / a.mean()) for a, b in taken]
        )


def _has_same_face(ours: list[Box], theirs: list[Box]) -> bool:
    """Return whether one of their boxes is within half a face of our largest box, by centers."""
    if not ours or not theirs:
        return False
    left, top, right, bottom = max(ours, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    max_distance = 0.5 * max(right - left, bottom - top)
    return any(
        abs((box[0] + box[2] - left - right) / 2) <= max_distance
        and abs((box[1] + box[3] - top - bottom) / 2) <= max_distance
        for box in theirs
    )


def as_markdown(clips: list[ClipResult], skipped: dict[str, str], facts: dict[str, str]) -> str:
    """Format the record as Markdown."""
    lines = [
        "# Comparison with other packages",
        "",
        *(f"- {name}: {fact}" for name, fact in facts.items()),
        "",
    ]
    lines += [
        "CPU milliseconds per frame of all threads, on one core, without decoding; frames are BGR",
        "as decoded by OpenCV, and their conversion is included. Rounds are interleaved. A ratio",
        "is the median of the baseline over the median of faceaffect in the same round, over the",
        "frames in which both detect the same face, with the range of rounds; the ratio of means",
        "includes the frames in which faceaffect runs its detector. First result: CPU seconds",
        "from the start of the interpreter to the result of the first frame. Packages compute",
        "different things: read each ratio with the column beside it. Detectors get the frame in",
        "full size.",
    ]
    for clip in clips:
        ours = clip.runs[0]
        count = len(ours.boxes)
        size = f"{ours.size_px[0]}x{ours.size_px[1]}"
        lines += ["", f"## {clip.clip}: {size}, {count} frames, {len(ours.rounds_ms)} rounds", ""]
        lines += [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
        lines += [_row(clip, run) for run in clip.runs]
    lines += ["", "## Versions", ""]
    lines += [f"- {run.baseline.title}: {_versions(run)}" for run in clips[0].runs if run.versions]
    if skipped:
        lines += ["", "## Not run", ""]
        lines += [
            f"- {baseline.title} ({baseline.computes}): {skipped[baseline.name]}"
            for baseline in BASELINES
            if baseline.name in skipped
        ]
    return "\n".join(lines) + "\n"


def _row(clip: ClipResult, run: BaselineRun) -> str:
    cells = [run.baseline.title, run.baseline.computes]
    if run.unavailable_reason:
        cells.append(f"not run: {run.unavailable_reason}")
        cells += [""] * (len(_COLUMNS) - len(cells))
        return f"| {' | '.join(cells)} |"
    times = Distribution.from_rounds(run.rounds_ms)
    relative = clip.latency_ratio(run)
    cells += [str(relative.frames_with_face), str(len(relative.same_frames))]
    cells += [f"{value:.2f}" for value in (times.p50, times.p95, times.p99, times.mean)]
    cells.append(f"{np.median(run.first_result_s):.2f}")
    if run.baseline is FACEAFFECT:
        cells += ["1", "1"]
    elif relative.ratios:
        spread = f"{min(relative.ratios):.1f} to {max(relative.ratios):.1f}"
        cells.append(f"**{np.median(relative.ratios):.1f}** ({spread})")
        cells.append(f"{np.median(relative.ratios_of_means):.1f}")
    else:
        cells += ["no frame with the same face", ""]
    return f"| {' | '.join(cells)} |"


def _versions(run: BaselineRun) -> str:
    return ", ".join(f"{name} {number}" for name, number in run.versions.items())


def as_json(clips: list[ClipResult], skipped: dict[str, str], facts: dict[str, str]) -> str:
    """Format every sample and the values of the table as JSON."""
    results = []
    for clip in clips:
        runs = []
        for run in clip.runs:
            relative = clip.latency_ratio(run)
            runs.append(
                {
                    "name": run.baseline.name,
                    "title": run.baseline.title,
                    "computes": run.baseline.computes,
                    "versions": run.versions,
                    "unavailable_reason": run.unavailable_reason,
                    "frames_with_a_face": relative.frames_with_face,
                    "same_face": len(relative.same_frames),
                    "ratios": [round(ratio, 3) for ratio in relative.ratios],
                    "first_result_s": run.first_result_s,
                    "ratios_of_means": [round(ratio, 3) for ratio in relative.ratios_of_means],
                    "all_rounds": asdict(Distribution.from_rounds(run.rounds_ms))
                    if run.rounds_ms
                    else None,
                    "rounds_ms": [[round(ms, 4) for ms in one] for one in run.rounds_ms],
                }
            )
        results.append({"clip": clip.clip, "size_px": clip.runs[0].size_px, "runs": runs})
    return json.dumps({"facts": facts, "clips": results, "not_run": skipped}, indent=1) + "\n"
