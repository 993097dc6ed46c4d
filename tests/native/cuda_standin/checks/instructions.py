"""Counts PTX instructions and memory sectors of one face's crop per kind of frame, and of the rest.

Prints a Markdown table: the record `benchmarks/results/cuda_standin.md` is made of it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kernel_cases import MEAN, STD, frame_of, graph_weights, similarity
from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin

FRAMES = ((360, 640, 1.1), (720, 1280, 2.2), (1080, 1920, 3.3), (1080, 1920, 6.0), (2160, 3840, 12))
MAX_NV12_SHARE = 1.27
"""Instructions of an NV12 crop relative to those of a BGR crop."""
MAX_GRAPH_INSTRUCTIONS = 20_000
PROFILE = Path(os.environ[f"{standin.PREFIX}PROFILE"])


def wait() -> None:
    event = native.Event()
    event.record(None)
    event.synchronize()


def upload(array: np.ndarray) -> Any:
    view = native.DeviceBuffer(array.nbytes).view(list(array.shape), array.dtype.str)
    native.copy_bytes(view.address, array.ctypes.data, array.nbytes, None)
    wait()
    return view


def counted() -> tuple[int, int]:
    """Instructions, summed over warps, and 32-byte sectors of the launches since the last call."""
    wait()
    text = PROFILE.read_text() if PROFILE.exists() else ""
    PROFILE.unlink(missing_ok=True)
    instructions, sectors = (
        sum(int(n) for n in re.findall(rf" {word} (\d+)", text))
        for word in ("instructions", "sectors")
    )
    return instructions, sectors


def count_crop(pixel_format: PixelFormat, height: int, width: int, scale: float) -> tuple[int, int]:
    frame = frame_of(pixel_format, height, width)
    maps = similarity(112, scale, 10, (width / 2, height / 2))
    arguments, color = (frame.planes, pixel_format.value, maps, 1, 112), frame.color.coefficients
    nbytes = native.pack_upload(*arguments, 0, 0, 0, color)
    pinned, block = native.PinnedBuffer(nbytes), native.DeviceBuffer(nbytes)
    native.pack_upload(*arguments, pinned.address, block.address, nbytes, color)
    native.copy_bytes(block.address, pinned.address, nbytes, None)
    out = upload(np.zeros((1, 3, 112, 112), np.float16))
    counted()
    native.crop_jobs_cuda(block.view([nbytes], "|u1"), MEAN, STD, out, None)
    return counted()


def main() -> None:
    print(
        "| kernel, one face | million instructions | thousand sectors |", "|---|---|---|", sep="\n"
    )
    share = 0.0
    problems = []

    def row(name: str, counts: tuple[int, int]) -> int:
        print(f"| {name} | {counts[0] / 1e6:.4f} | {counts[1] / 1e3:.1f} |")
        if not counts[0]:
            problems.append(f"{name} has no count")
        return counts[0]

    for height, width, scale in FRAMES:
        bgr, nv12 = (
            row(
                f"crop {pixel_format.value} {width}x{height}, scale {scale}",
                count_crop(pixel_format, height, width, scale),
            )
            for pixel_format in (PixelFormat.BGR, PixelFormat.NV12)
        )
        share = max(share, nv12 / bgr)
    weights = graph_weights(64, 2).packed
    nodes, flat = upload(np.zeros((1, 12, 64), np.float32)), upload(weights.flat())
    logits = upload(np.zeros((1, 12), np.float32))
    counted()
    native.au_gcn_cuda(nodes, flat, weights.widths, logits, None)
    graph = row("au_gcn", counted())
    crops = upload(np.zeros((1, 3, 112, 112), np.float16))
    grid = upload(np.zeros((1, 3, 12, 12), np.float32))
    native.appearance_grid_cuda(crops, grid, None)
    row("appearance_grid", counted())
    if share > MAX_NV12_SHARE:
        problems.append(f"NV12 takes {share:.2f} times the instructions of BGR")
    if graph > MAX_GRAPH_INSTRUCTIONS:
        problems.append(f"au_gcn takes {graph} instructions")
    standin.finish(f"NV12 takes at most {share:.2f} times the instructions of BGR", problems)


if __name__ == "__main__":
    main()
