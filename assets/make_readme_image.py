"""Makes the animated image of the README: the overlay at work on the demo clip.

    python assets/make_readme_image.py assets/overlay.webp

It needs the package. The analysis runs on every frame; every second one is stored.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import faceaffect as fa
from faceaffect.types import Affect, Faces, Frame

CLIP = Path(__file__).with_name("demo.mp4")
WIDTH_PX = 960
SUBSAMPLING = 2
MAX_BYTES = 3_000_000
QUALITY = 80


def annotated_frames(clip: Path) -> tuple[list[Image.Image], float]:
    """Returns the annotated frames to store, and the duration of each in ms."""
    images = []
    with fa.open_source(clip) as source, fa.open_pipeline() as pipeline:
        fps = source.fps or 30.0
        annotator = fa.FaceAnnotator(tuple(pipeline.spec.au_thresholds))
        for frame in source:
            faces, affect = pipeline.analyze(frame)
            if frame.index % SUBSAMPLING == 0:
                images.append(draw(annotator, frame, faces, affect))
    return images, 1000 * SUBSAMPLING / fps


def draw(annotator: fa.FaceAnnotator, frame: Frame, faces: Faces, affect: Affect) -> Image.Image:
    """Draws at the size of the stored image, so that text and lines are sharp."""
    factor = WIDTH_PX / frame.width_px
    size_px = (WIDTH_PX, round(frame.height_px * factor))
    original: Any = Image.fromarray(np.ascontiguousarray(fa.to_bgr(frame)[:, :, ::-1]))
    enlarged = np.asarray(original.resize(size_px, Image.Resampling.LANCZOS))[:, :, ::-1]
    scaled = Faces(
        (faces.box_xyxy + 0.5) * factor - 0.5,
        (faces.landmarks_xy + 0.5) * factor - 0.5,
        faces.track_id,
        faces.face_score,
        faces.quality,
        faces.pose_deg,
    )
    image = annotator.draw(Frame(np.ascontiguousarray(enlarged)), scaled, affect)
    return Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))


def main() -> None:
    """Writes the image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    images, duration_ms = annotated_frames(CLIP)
    ends_ms = [duration_ms * (k + 1) for k in range(len(images))]
    images[0].save(
        out,
        save_all=True,
        append_images=images[1:],
        duration=[round(end_ms) - round(end_ms - duration_ms) for end_ms in ends_ms],
        loop=0,
        quality=QUALITY,
        method=6,
    )
    size = out.stat().st_size
    print(f"{out}: {len(images)} frames, {ends_ms[-1] / 1000:.1f} s, {size} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"{out}: expected at most {MAX_BYTES} bytes; lower QUALITY or WIDTH_PX")


if __name__ == "__main__":
    main()
