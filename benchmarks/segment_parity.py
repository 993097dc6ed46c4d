"""What sharing a video out changes: `python -m benchmarks segments CLIP... [--jobs N] [--record
FOLDER]`.

Each clip is analyzed by one process and by several, as `faceaffect analyze --jobs` does it, and
the two are compared frame by frame, from the first seam on: before it they are the same. A clip
that is too short to be shared out is played forth and back, 640x360, to 1,500 frames.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.latency_measurements import file_of
from faceaffect.bench.machine import describe_machine
from faceaffect.pipeline import open_pipeline
from faceaffect.segments.frame_result import FrameResult
from faceaffect.segments.parallel_video import ParallelVideo
from faceaffect.segments.plan import Segment, plan_segments
from faceaffect.segments.task import StretchSettings
from faceaffect.sources import SourceOptions, open_source

_FRAMES = 1500
_COLUMNS = (
    *("clip", "precision", "frames", "after the first seam", "same ids", "box, px, mean (largest)"),
    *(
        "AU probability, mean of the worst AU (largest)",
        "valence, arousal, mean",
        "faces with other AUs on",
    ),
)


def alone(clip: str, precision: str) -> list[FrameResult]:
    """Every frame's result, by this process."""
    with open_pipeline(precision=precision) as pipeline, open_source(clip) as source:
        return [
            FrameResult(frame.index, frame.time_s, 0.0, *pipeline.analyze(frame))
            for frame in source
        ]


def difference(
    name: str, seam: int, one: Sequence[FrameResult], other: Sequence[FrameResult]
) -> str:
    """A row of the record, of frames from number `seam` on. Values are compared where both hold the
    same ids.

    Raises ValueError where the frames are not the same ones, or show nobody.
    """
    if [(a.index, a.time_s) for a in one] != [(b.index, b.time_s) for b in other]:
        raise ValueError(
            f"{name}: the same frames were wanted, {len(other)} of {len(one)} came, or under other times"
        )
    after = [(a, b) for a, b in zip(one, other, strict=True) if a.index >= seam]
    pairs = [(a, b) for a, b in after if np.array_equal(a.faces.track_id, b.faces.track_id)]
    held = [(a, b) for a, b in pairs if len(a.faces)]
    if not held:
        raise ValueError(f"{name}: a clip with faces that both hold was wanted")
    box = np.concatenate([np.abs(a.faces.box_xyxy - b.faces.box_xyxy) for a, b in held])
    units = np.concatenate(
        [np.abs(a.affect.au_probability - b.affect.au_probability) for a, b in held]
    )
    mood = [
        float(
            np.concatenate(
                [np.abs(getattr(a.affect, part) - getattr(b.affect, part)) for a, b in held]
            ).mean()
        )
        for part in ("valence", "arousal")
    ]
    others = sum(int((a.affect.au_active != b.affect.au_active).any(axis=1).sum()) for a, b in held)
    return (
        f"| {name} | {len(one)} | {len(after)} | {len(pairs)} | {box.mean():.3f} ({box.max():.2f}) | "
        f"{units.mean(axis=0).max():.4f} ({units.max():.3f}) | {mood[0]:.4f}, {mood[1]:.4f} | {others} of {len(units)} |"
    )


def compare(clip: str, jobs: int, precision: str, folder: Path) -> str:
    """A row of the record for a clip."""
    stretches, fps = _stretches(clip, jobs)
    played = clip
    if len(stretches) < 2:
        played = file_of(clip, _FRAMES, folder)
        stretches, fps = _stretches(played, jobs)
    settings = StretchSettings(played, None, {"precision": precision}, SourceOptions())
    shared = list(ParallelVideo(settings, stretches, fps, jobs))
    return difference(
        f"{Path(clip).name} | {precision}", stretches[1].begin, alone(played, precision), shared
    )


def _stretches(clip: str, jobs: int) -> tuple[list[Segment], float]:
    with open_source(clip) as source:
        if not source.frame_count or not source.fps:
            raise ValueError(
                f"{clip}: a video file that tells its frame rate and how long it is was wanted"
            )
        return plan_segments(0, source.frame_count, source.fps, jobs), source.fps


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks segments`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks segments", description=__doc__)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--precision", action="append", help="again for more; without it int8 and fp32"
    )
    parser.add_argument("--record", type=Path, default=None, help="folder for seams.md")
    arguments = parser.parse_args(argv)
    lines = [
        f"# One video by {arguments.jobs} processes against one",
        "",
        *(f"- {k}: {v}" for k, v in describe_machine().items()),
    ]
    lines += ["", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    precisions = arguments.precision or ["int8", "fp32"]
    with tempfile.TemporaryDirectory() as name:
        lines += [
            compare(clip, arguments.jobs, one, Path(name))
            for one in precisions
            for clip in arguments.clips
        ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if arguments.record:
        arguments.record.mkdir(parents=True, exist_ok=True)
        (arguments.record / "segments.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
