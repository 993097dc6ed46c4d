"""A video to rows, with its progress: `python examples/video_to_csv.py clip.mp4 rows.csv`."""

from __future__ import annotations

import sys

import faceaffect as fa


def show(progress: fa.Progress) -> None:
    """Print one line that is overwritten."""
    total = f"/{progress.total}" if progress.total else ""
    print(f"\r{progress.frames}{total} frames, {progress.fps:.0f} per second", end="", flush=True)


def main(video: str, rows: str) -> None:
    """Analyze the video, write its rows and print what each face did."""
    result = fa.analyze(video, progress=show)
    print()
    print("written to", result.save(rows, overwrite=True))
    print(result.summary())


if __name__ == "__main__":
    main(*sys.argv[1:3])
