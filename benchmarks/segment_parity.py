"""Parity of segmented and sequential analysis: `python -m benchmarks segments CLIP... [--jobs N]`.

Each clip is analyzed by one process and by several, as with `faceaffect analyze --jobs`, and the
results are compared frame by frame after the first segment boundary; before it they are equal. A
clip that is too short to be segmented is extended to 1,500 frames of 640x360 in ping-pong order.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.latency_measurements import write_clip
from faceaffect.backends.option_names import PrecisionName
from faceaffect.bench.machine import describe_machine
from faceaffect.pipeline import open_pipeline
from faceaffect.segments.frame_result import FrameResult
from faceaffect.segments.parallel_video import ParallelVideo
from faceaffect.segments.plan import Segment, plan_segments
from faceaffect.segments.task import SegmentSettings
from faceaffect.sources import SourceOptions, open_source

_FRAMES = 1500
_COLUMNS = (
    "clip",
    "precision",
    "frames",
    "after the first boundary",
    "equal ids",
    "box, px, mean (max)",
    "AU probability, mean of the worst AU (max)",
    "valence, arousal, mean",
    "faces with other active AUs",
)


def analyze_sequentially(clip: str, precision: PrecisionName) -> list[FrameResult]:
    """Analyze all frames in this process."""
    with open_pipeline(precision=precision) as pipeline, open_source(clip) as source:
        return [
            FrameResult(frame.index, frame.time_s, 0.0, *pipeline.analyze(frame))
            for frame in source
        ]


def difference(
    name: str, boundary: int, expected: Sequence[FrameResult], actual: Sequence[FrameResult]
) -> str:
    """Return a row of the record about the frames from index `boundary` on.

    Values are compared in frames with equal track ids.

    Raises:
        ValueError: The frames differ, or none has a face in both.
    """
    if [(a.index, a.time_s) for a in expected] != [(b.index, b.time_s) for b in actual]:
        raise ValueError(
            f"{name}: expected equal frames, got {len(actual)} of {len(expected)}, or other times"
        )
    after = [(a, b) for a, b in zip(expected, actual, strict=True) if a.index >= boundary]
    equal_ids = [(a, b) for a, b in after if np.array_equal(a.faces.track_id, b.faces.track_id)]
    pairs = [(a, b) for a, b in equal_ids if len(a.faces)]
    if not pairs:
        raise ValueError(f"{name}: expected frames with faces in both results, got none")
    box = np.concatenate([np.abs(a.faces.box_xyxy - b.faces.box_xyxy) for a, b in pairs])
    affects = [(a.affect, b.affect) for a, b in pairs]
    aus = np.concatenate([np.abs(a.au_probability - b.au_probability) for a, b in affects])
    valence = np.concatenate([np.abs(a.valence - b.valence) for a, b in affects]).mean()
    arousal = np.concatenate([np.abs(a.arousal - b.arousal) for a, b in affects]).mean()
    other_aus = sum(int((a.au_active != b.au_active).any(axis=1).sum()) for a, b in affects)
    cells = (
        name,
        len(expected),
        len(after),
        len(equal_ids),
        f"{box.mean():.3f} ({box.max():.2f})",
        f"{aus.mean(axis=0).max():.4f} ({aus.max():.3f})",
        f"{valence:.4f}, {arousal:.4f}",
        f"{other_aus} of {len(aus)}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def compare(clip: str, jobs: int, precision: PrecisionName, folder: Path) -> str:
    """Analyze a clip both ways, and return a row of the record."""
    video = clip
    segments, fps = _segments(video, jobs)
    if len(segments) < 2:
        video = write_clip(clip, _FRAMES, folder)
        segments, fps = _segments(video, jobs)
    settings = SegmentSettings(video, None, {"precision": precision}, SourceOptions())
    segmented = list(ParallelVideo(settings, segments, fps, jobs))
    sequential = analyze_sequentially(video, precision)
    return difference(f"{Path(clip).name} | {precision}", segments[1].begin, sequential, segmented)


def _segments(clip: str, jobs: int) -> tuple[list[Segment], float]:
    with open_source(clip) as source:
        if not source.frame_count or not source.fps:
            raise ValueError(f"{clip}: expected a video file with known frame rate and length")
        return plan_segments(0, source.frame_count, source.fps, jobs), source.fps


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks segments`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks segments", description=__doc__)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--precision", action="append", help="may be repeated [default: int8 and fp32]"
    )
    parser.add_argument("--record", type=Path, default=None, help="folder for segments.md")
    options = parser.parse_args(argv)
    lines = [f"# Parity of one process and {options.jobs} processes on one video", ""]
    lines += [f"- {name}: {value}" for name, value in describe_machine().items()]
    lines += ["", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    with tempfile.TemporaryDirectory() as name:
        for precision in options.precision or ["int8", "fp32"]:
            for clip in options.clips:
                lines.append(compare(clip, options.jobs, precision, Path(name)))
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
        (options.record / "segments.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
