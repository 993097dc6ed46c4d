"""How faces are held on real clips: `python -m benchmarks tracking CLIP... [--record FOLDER]`.

Frames with faces, ids, detector looks.

Two clips of one size given as `A+B` are played one after the other, as a cut from one person to
another.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2

from faceaffect.bench.machine import describe_machine
from faceaffect.pipeline import open_pipeline
from faceaffect.sources import open_source
from faceaffect.types import Frame


def play(clips: str) -> list[Frame]:
    """The frames of one clip, or of several joined by `+`, scaled to the first one's size and
    clocked on.
    """
    frames: list[Frame] = []
    for clip in clips.split("+"):
        with open_source(clip) as source:
            for frame in source:
                if not frames:
                    frames.append(frame)
                    continue
                size = (frames[0].width_px, frames[0].height_px)
                pixels = (
                    frame.pixels
                    if (frame.width_px, frame.height_px) == size
                    else cv2.resize(frame.pixels, size)
                )
                step_s = 1 / 30 if "+" in clips else frame.time_s - frames[-1].time_s
                frames.append(
                    replace(
                        frame, pixels=pixels, time_s=frames[-1].time_s + step_s, index=len(frames)
                    )
                )
    return frames


def follow(clips: str, model: str | None) -> str:
    """A row of the record."""
    frames, counts, held, runs = play(clips), Counter[int](), 0, list[str]()
    scores: list[float] = []
    with open_pipeline(model) as pipeline:
        for frame in frames:
            faces, _ = pipeline.analyze(frame)
            counts[len(faces)] += 1
            held += bool(len(faces))
            ids = "+".join(map(str, faces.track_id.tolist())) or "none"
            if not runs or runs[-1].split(" ")[0] != ids:
                runs.append(f"{ids} from frame {frame.index}")
            scores += faces.score.tolist()
    least = f"{min(scores):.2f}" if scores else "-"
    name = " then ".join(Path(clip).name for clip in clips.split("+"))
    shown = "; ".join(runs[:6]) + (f"; {len(runs) - 6} more changes" if len(runs) > 6 else "")
    return (
        f"| {name} | {len(frames)} | {held} | {dict(sorted(counts.items()))} | {shown} | {least} |"
    )


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks tracking`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks tracking", description=__doc__)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--model", default=None)
    parser.add_argument("--record", type=Path, default=None, help="folder for follow_clips.md")
    arguments = parser.parse_args(argv)
    lines = [
        "# Faces held on clips",
        "",
        *(f"- {k}: {v}" for k, v in describe_machine().items()),
        "",
    ]
    lines += [
        "| clip | frames | with a face | frames by number of faces | track ids | least face score |"
    ]
    lines += [
        "|---|---|---|---|---|---|",
        *(follow(clips, arguments.model) for clips in arguments.clips),
    ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if arguments.record:
        arguments.record.mkdir(parents=True, exist_ok=True)
        (arguments.record / "tracking.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
