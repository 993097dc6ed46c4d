"""Faces of one or several images, and an annotated copy: `python examples/image.py face.jpg`."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

import faceaffect as fa


def main(paths: list[str]) -> None:
    """Print every face and write `<name>_faces.png` beside each image."""
    result = fa.analyze(paths)
    annotator = fa.FaceAnnotator(result.au_thresholds)
    for path, frame in zip(paths, result, strict=True):
        print(f"{path}: {len(frame)} face(s)")
        for face in frame:
            best = sorted(face.action_units.items(), key=lambda item: -item[1])[:3]
            print(f"  {face.expression}, valence {face.valence:+.2f}, arousal {face.arousal:+.2f}")
            print("  " + ", ".join(f"{name} {probability:.0%}" for name, probability in best))
        with fa.open_source(path) as source:
            image = frame.draw(next(iter(source)), annotator)
        cv2.imwrite(str(Path(path).with_name(f"{Path(path).stem}_faces.png")), image)


if __name__ == "__main__":
    main(sys.argv[1:])
