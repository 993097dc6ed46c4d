"""A detector of your own: faces in one region of the image only, such as a driver's seat.

`python examples/custom_detector.py clip.mp4 320 0 640 360`: left, top, right and bottom in pixels.
"""

from __future__ import annotations

import sys

import faceaffect as fa
from faceaffect.detectors.detector import Detections, Detector
from faceaffect.detectors.open_detector import open_detector


class RegionDetector(Detector):
    """Runs another detector on a region of the frame; coordinates stay those of the frame."""

    name = "region"

    def __init__(self, detector: Detector, region: tuple[int, int, int, int]) -> None:
        """Look for faces between left, top, right and bottom."""
        self._detector = detector
        self._region = region
        self.is_fast = detector.is_fast

    def detect(self, frame: fa.Frame, *, full_resolution: bool = True) -> Detections:
        """Detect the faces of the region."""
        left, top, right, bottom = self._region
        part = fa.Frame(fa.to_bgr(frame)[top:bottom, left:right], time_s=frame.time_s)
        found = self._detector.detect(part, full_resolution=full_resolution)
        return found.shifted(left, top)


def main(video: str, *region: str) -> None:
    """Count the frames in which somebody is in the region."""
    left, top, right, bottom = map(int, region)
    inner = open_detector("distilled", min_face_size_px=24, threads=1)
    detector = RegionDetector(inner, (left, top, right, bottom))
    result = fa.analyze(video, detector=detector)
    seen = sum(1 for frame in result if frame.faces)
    print(f"{seen} of {len(result)} frames have a face in the region")


if __name__ == "__main__":
    main(*sys.argv[1:])
