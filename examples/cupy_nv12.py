"""NV12 surfaces in CuPy arrays, analyzed without a copy: `python examples/cupy_nv12.py`.

Decoders write luma and chroma into one buffer whose rows are padded to a pitch.
"""

from __future__ import annotations

from typing import Any

from faceaffect import PixelFormat, open_pipeline
from faceaffect.device_frame import DeviceFrame


def nv12_frame(surface: Any, width_px: int, height_px: int, time_s: float) -> DeviceFrame:
    """Wrap a surface: uint8 array [3 / 2 * H, pitch], pitch >= W."""
    luma = surface[:height_px, :width_px]
    rows = surface[height_px : height_px * 3 // 2]
    # [H / 2, pitch / 2, 2] is a view; so is the part of it without padding.
    chroma = rows.reshape(height_px // 2, rows.shape[1] // 2, 2)[:, : width_px // 2]
    return DeviceFrame((luma, chroma), PixelFormat.NV12, time_s)


def main() -> None:
    """Analyze a second of gray frames of 1280x720 with a pitch of 2048."""
    import cupy

    surface = cupy.full((1080, 2048), 128, cupy.uint8)
    with open_pipeline(backend="tensorrt", precision="fp16") as pipeline:
        for index in range(30):
            faces, affect = pipeline.analyze(nv12_frame(surface, 1280, 720, index / 30))
            print(len(faces), affect.valence)


if __name__ == "__main__":
    main()
