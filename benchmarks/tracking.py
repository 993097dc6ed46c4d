"""Face tracking on clips: `python -m benchmarks tracking CLIP... [--record FOLDER]`.

Records the frames with faces, track ids and face scores. Clips given as `A+B` are joined by a shot
cut.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from faceaffect.bench.machine import describe_machine
from faceaffect.pipeline import open_pipeline
from faceaffect.sources import open_source
from faceaffect.types import Frame

_COLUMNS = (
    "clip",
    "frames",
    "with a face",
    "frames by number of faces",
    "track ids",
    "lowest face score",
)
_MAX_CHANGES = 6


def read_clips(clips: str) -> list[Frame]:
    """Read one clip, or several joined by `+`, with the first one's size and increasing times."""
    frames: list[Frame] = []
    for clip in clips.split("+"):
        with open_source(clip) as source:
            for frame in source:
                if not frames:
                    frames.append(frame)
                    continue
                first = frames[0]
                previous_s = frames[-1].time_s
                pixels = frame.pixels
                if (frame.width_px, frame.height_px) != (first.width_px, first.height_px):
                    size = (first.width_px, first.height_px)
                    pixels = np.asarray(cv2.resize(pixels, size), np.uint8)
                step_s = 1 / 30 if "+" in clips else frame.time_s - previous_s
                frames.append(
                    replace(frame, pixels=pixels, time_s=previous_s + step_s, index=len(frames))
                )
    return frames


def track(clips: str, model: str | None) -> str:
    """Track the faces of one clip, or of several joined by `+`, and return a row of the record."""
    frames = read_clips(clips)
    counts: Counter[int] = Counter()
    changes: list[str] = []
    previous_ids = ""
    scores: list[float] = []
    with open_pipeline(model) as pipeline:
        for frame in frames:
            faces, _ = pipeline.analyze(frame)
            counts[len(faces)] += 1
            ids = "+".join(map(str, faces.track_id.tolist())) or "none"
            if ids != previous_ids:
                changes.append(f"{ids} from frame {frame.index}")
                previous_ids = ids
            scores += faces.face_score.tolist()
    omitted = len(changes) - _MAX_CHANGES
    cells = (
        " then ".join(Path(clip).name for clip in clips.split("+")),
        len(frames),
        len(frames) - counts[0],
        dict(sorted(counts.items())),
        "; ".join(changes[:_MAX_CHANGES]) + (f"; {omitted} more changes" if omitted > 0 else ""),
        f"{min(scores):.2f}" if scores else "-",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks tracking`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks tracking", description=__doc__)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--model", default=None)
    parser.add_argument("--record", type=Path, default=None, help="folder for tracking.md")
    options = parser.parse_args(argv)
    lines = ["# Tracked faces on clips", ""]
    lines += [f"- {name}: {value}" for name, value in describe_machine().items()]
    lines += ["", f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    lines += [track(clips, options.model) for clips in options.clips]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
        (options.record / "tracking.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
