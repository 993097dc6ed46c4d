"""What a side-by-side run found, as numbers, a table and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.baselines.baseline import OURS, PEERS, Peer
from faceaffect.bench.percentiles import Distribution

Box = list[float]


@dataclass(slots=True)
class PeerRun:
    """All rounds of one package on one clip; `unavailable_reason` where it failed on the way."""

    peer: Peer
    rounds_ms: list[list[float]] = field(default_factory=list)
    first_result_s: list[float] = field(default_factory=list)
    boxes: list[list[Box]] = field(default_factory=list)  # of each frame, in the last round
    versions: dict[str, str] = field(default_factory=dict)
    size_px: tuple[int, int] = (0, 0)
    unavailable_reason: str = ""

    def add(self, answer: dict[str, Any]) -> None:
        self.rounds_ms.append(answer["ms"])
        self.first_result_s.append(answer["first_result_s"])
        self.boxes, self.versions = answer["boxes"], answer["versions"]
        self.size_px = (answer["size_px"][0], answer["size_px"][1])


@dataclass(slots=True)
class Against:
    """A peer against ours. `same_frames` are those where both found one and the same face: ratios
    count only them.
    """

    found: int
    same_frames: list[int]
    ratios: list[float]
    """Median of theirs over median of ours, by round."""
    ratios_of_means: list[float]


@dataclass(slots=True)
class ClipResult:
    clip: str
    runs: list[PeerRun]  # ours first

    def against(self, run: PeerRun) -> Against:
        ours = self.runs[0]
        same = [
            i
            for i, boxes in enumerate(run.boxes)
            if i < len(ours.boxes) and _shows_same_face(ours.boxes[i], boxes)
        ]
        found = sum(bool(boxes) for boxes in run.boxes)
        pairs = zip(ours.rounds_ms, run.rounds_ms, strict=False) if same else ()
        taken = [(np.take(a, same), np.take(b, same)) for a, b in pairs]
        ratios = [float(np.median(b) / np.median(a)) for a, b in taken]
        return Against(found, same, ratios, [float(b.mean() / a.mean()) for a, b in taken])


def _shows_same_face(ours: list[Box], theirs: list[Box]) -> bool:
    """Whether any of their boxes has its center within half a face of the center of our largest
    face.
    """
    if not ours or not theirs:
        return False
    left, top, right, bottom = max(ours, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    reach = 0.5 * max(right - left, bottom - top)
    return any(
        abs((box[0] + box[2] - left - right) / 2) <= reach
        and abs((box[1] + box[3] - top - bottom) / 2) <= reach
        for box in theirs
    )


def as_markdown(clips: list[ClipResult], refused: dict[str, str], about: dict[str, str]) -> str:
    """The record that people read."""
    lines = [
        "# Side by side with other packages",
        "",
        *(f"- {name}: {fact}" for name, fact in about.items()),
        "",
    ]
    lines += [
        "Processor milliseconds per frame of every thread, one core, decoding left out, frames given as OpenCV decodes",
        "them (BGR; converting them counts). Rounds alternate. A ratio is the median of theirs over the median of ours in",
        "the same round, over the frames in which both found the same face; beside it the least and the largest round, and",
        "the ratio of means, in which our frames with a look for newcomers count fully. First result: processor seconds",
        "from the start of the interpreter, imports and opening included, to the result of the first frame. Packages",
        "compute different things: read each ratio with the column beside it. Detectors see the frame in full size.",
    ]
    for clip in clips:
        ours = clip.runs[0]
        count = len(ours.boxes)
        size = f"{ours.size_px[0]}x{ours.size_px[1]}"
        lines += ["", f"## {clip.clip}: {size}, {count} frames, {len(ours.rounds_ms)} rounds", ""]
        lines += [
            "| | computes | face in frames | same face | p50 | p95 | p99 | mean | first result, s | ratio | of means |"
        ]
        lines += [
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *(_row(clip, run) for run in clip.runs),
        ]
    lines += ["", "## Versions", ""]
    lines += [f"- {run.peer.title}: {_versions(run)}" for run in clips[0].runs if run.versions]
    if refused:
        lines += ["", "## Not run", ""]
        lines += [
            f"- {peer.title} ({peer.computes}): {refused[peer.name]}"
            for peer in PEERS
            if peer.name in refused
        ]
    return "\n".join(lines) + "\n"


def _row(clip: ClipResult, run: PeerRun) -> str:
    if run.unavailable_reason:
        return f"| {run.peer.title} | {run.peer.computes} | not run: {run.unavailable_reason} | | | | | | | | |"
    times, against = Distribution.from_rounds(run.rounds_ms), clip.against(run)
    figures = " | ".join(f"{value:.2f}" for value in (times.p50, times.p95, times.p99, times.mean))
    first = f"{np.median(run.first_result_s):.2f}"
    ratio = "1 | 1" if run.peer is OURS else "no frame with the same face | "
    if run.peer is not OURS and against.ratios:
        ratio = f"**{np.median(against.ratios):.1f}** ({min(against.ratios):.1f} to {max(against.ratios):.1f})"
        ratio += f" | {np.median(against.ratios_of_means):.1f}"
    found = f"{against.found} | {len(against.same_frames)}"
    return f"| {run.peer.title} | {run.peer.computes} | {found} | {figures} | {first} | {ratio} |"


def _versions(run: PeerRun) -> str:
    return ", ".join(f"{name} {number}" for name, number in run.versions.items())


def as_json(clips: list[ClipResult], refused: dict[str, str], about: dict[str, str]) -> str:
    """Every sample, with what the table says."""
    found = []
    for clip in clips:
        runs = []
        for run in clip.runs:
            against = clip.against(run)
            rounds_ms = [[round(ms, 4) for ms in one] for one in run.rounds_ms]
            runs.append(
                {
                    "name": run.peer.name,
                    "title": run.peer.title,
                    "computes": run.peer.computes,
                    "versions": run.versions,
                }
                | {
                    "unavailable_reason": run.unavailable_reason,
                    "frames_with_a_face": against.found,
                    "same_face": len(against.same_frames),
                }
                | {
                    "ratios": [round(ratio, 3) for ratio in against.ratios],
                    "first_result_s": run.first_result_s,
                }
                | {"ratios_of_means": [round(ratio, 3) for ratio in against.ratios_of_means]}
                | {
                    "all_rounds": asdict(Distribution.from_rounds(run.rounds_ms)) if run.rounds_ms else None,
                    "rounds_ms": rounds_ms,
                }
            )
        found.append({"clip": clip.clip, "size_px": clip.runs[0].size_px, "runs": runs})
    return json.dumps({"about": about, "clips": found, "not_run": refused}, indent=1) + "\n"
