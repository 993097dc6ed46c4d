"""Kernels access nothing outside their arrays: the bytes next to them are protected pages."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest

from benchmarks.kernel_cases import MEAN, STD, flat_frame, graph_weights, similarity
from faceaffect import kernels
from faceaffect.kernels.native import native
from faceaffect.types import Frame, PixelFormat

SIDE = 40
# Whole and half positions reach the very last pixel at which the wide loops may still read 4 or 8
# bytes.
TOUCHING = [[[1, 0, x], [0, 1, y]] for x in (-1, 0, 23, 23.5, 24) for y in (-1, 0, 7, 7.5, 8)]
TURNED = [
    similarity(SIDE, scale, degrees, at)
    for scale in (0.3, 1.0, 2.4, 5.0)
    for degrees in (0, 30)
    for at in ((0, 0), (32, 24), (63, 47), (64, 10))
]
MAPS = np.concatenate([np.array(TOUCHING, np.float32), *TURNED])


def guarded(shape: tuple[int, ...], dtype: type, *, before: bool) -> np.ndarray:
    """An array that ends (or begins, `before`) exactly at a page that may not be touched."""
    page = mmap.PAGESIZE
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // page)
    memory = mmap.mmap(-1, (pages + 2) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for at in (start, start + (pages + 1) * page):
        if protect(ctypes.c_void_p(at), ctypes.c_size_t(page), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect failed")
    offset = page if before else (pages + 1) * page - size
    return np.frombuffer(memory, dtype, count=int(np.prod(shape)), offset=offset).reshape(shape)


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs mprotect")
@pytest.mark.parametrize("before", [False, True], ids=["guard behind", "guard before"])
@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_crop_face_stays_inside_its_arrays(pixel_format: PixelFormat, before: bool) -> None:
    unguarded = flat_frame(pixel_format, 48, 64, 77)
    planes = [
        guarded(plane.shape, np.uint8, before=before)
        for plane in (unguarded.pixels, *(unguarded.chroma or ()))
    ]
    for plane in planes:
        plane[...] = 77
    frame = Frame(planes[0], pixel_format, chroma=tuple(planes[1:]) or None)
    out = guarded((len(MAPS), 3, SIDE, SIDE), np.float32, before=before)
    out[...] = np.nan
    kernels.crop_face(frame, MAPS, size_px=SIDE, mean=MEAN, std=STD, out=out)
    assert np.isfinite(out).all()


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs mprotect")
@pytest.mark.parametrize("side", [1, 5, 16, 33])
def test_normalize_and_au_gcn_stay_inside_their_arrays(side: int) -> None:
    pixels = guarded((2, side, side, 3), np.uint8, before=False)
    out = guarded((2, 3, side, side), np.float32, before=False)
    out[...] = np.nan
    kernels.normalize(pixels, MEAN, STD, out)
    assert np.isfinite(out).all()
    nodes, logits = (
        guarded((3, 12, side), np.float32, before=False),
        guarded((3, 12), np.float32, before=False),
    )
    kernels.au_gcn(nodes, graph_weights(side), logits)
    assert np.isfinite(logits).all()


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs mprotect")
@pytest.mark.parametrize("isa", ["baseline", ""])
@pytest.mark.parametrize("before", [False, True], ids=["guard behind", "guard before"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (5, 1, 3), (3, 3, 3)], ids=str)
def test_crop_face_of_tiny_frame_stays_inside_its_arrays(
    shape: tuple[int, ...], before: bool, isa: str
) -> None:
    pixels = guarded(shape, np.uint8, before=before)
    pixels[...] = 77
    chosen = kernels.build_info().isa
    try:
        native.use_isa(isa)
        crops = kernels.crop_face(
            Frame(pixels), MAPS * np.float32(0.05), size_px=SIDE, mean=MEAN, std=STD
        )
    finally:
        native.use_isa(chosen)
    assert np.isfinite(crops).all()
