"""A camera, live: `python examples/webcam.py [0 | rtsp://host/path | clip.mp4]`; Ctrl-C ends it."""

from __future__ import annotations

import sys

import faceaffect as fa


def bar(probability: float, width: int = 10) -> str:
    """Return a bar of text."""
    full = round(probability * width)
    return "#" * full + "." * (width - full)


def main(source: str = "0") -> None:
    """Print the newest frame's faces; frames that come too fast are dropped."""
    for frame in fa.stream(source, max_faces=2):
        cells = [
            f"#{face.track_id} {face.expression:<9} smile {bar(face.action_units['AU12'])}"
            f" valence {face.valence:+.2f}"
            for face in frame
        ]
        print(f"{frame.time_s:7.2f} s  " + ("   ".join(cells) or "no face"))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except KeyboardInterrupt:
        print("stopped")
