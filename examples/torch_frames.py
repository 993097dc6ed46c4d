"""Frames of torch on the GPU, analyzed without a copy: `python examples/torch_frames.py`.

A decoder such as torchcodec yields CUDA tensors of RGB images [H, W, 3].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from faceaffect import Affect, Faces, Pipeline, PixelFormat, open_pipeline
from faceaffect.device_frame import DeviceFrame


def analyze_tensors(
    pipeline: Pipeline, tensors: Iterable[Any], fps: float
) -> Iterator[tuple[Faces, Affect]]:
    """Analyze uint8 CUDA tensors [H, W, 3] in RGB order."""
    for index, tensor in enumerate(tensors):
        # The tensor must stay alive and unchanged until `analyze` returns.
        frame = DeviceFrame(tensor, PixelFormat.RGB, time_s=index / fps, index=index)
        yield pipeline.analyze(frame)


def main() -> None:
    """Analyze a second of noise."""
    import torch

    tensors = (
        torch.randint(0, 256, (720, 1280, 3), dtype=torch.uint8, device="cuda") for _ in range(30)
    )
    with open_pipeline(backend="tensorrt", precision="fp16") as pipeline:
        for faces, affect in analyze_tensors(pipeline, tensors, 30):
            print(len(faces), affect.valence)


if __name__ == "__main__":
    main()
