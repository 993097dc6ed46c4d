"""CV-CUDA's side of the comparison, over OpenCV in its place: the crop that is timed is the crop
that is meant.
"""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch

from benchmarks.gpu.cvcuda_crop import SAME, matching_cropper, time_cvcuda
from benchmarks.gpu.part import NotRunError, Session
from benchmarks.kernel_cases import TIMED_CROPS
from faceaffect.kernels import reference

pytestmark = pytest.mark.train


def fake_cvcuda(*, maps_are_inverse: bool = False, normalizes: bool = True) -> Any:
    """The calls on tensors in host memory; `maps_are_inverse` reads a map as from crop to frame."""

    def warp(
        to: Any,
        source: Any,
        xform: Any,
        *,
        flags: int,
        border_mode: int,
        border_value: Any,
        stream: Any,
    ) -> None:
        kind = flags | (cv2.WARP_INVERSE_MAP if maps_are_inverse else 0)
        size = (to.shape[2], to.shape[1])
        to[0] = torch.from_numpy(
            cv2.warpAffine(source[0].numpy(), xform, size, flags=kind, borderMode=border_mode)
        )

    def normalize(to: Any, source: Any, base: Any, scale: Any, flags: str, *, stream: Any) -> None:
        assert flags == "deviation"
        to[...] = (source - base) / scale if normalizes else source

    return SimpleNamespace(
        as_tensor=lambda memory, tensor_layout: memory,
        warp_affine_into=warp,
        cvtcolor_into=lambda to, source, code, *, stream: to.copy_(source.flip(3)),
        convertto_into=lambda to, source, *, scale, stream: to.copy_(source.float() * scale),
        normalize_into=normalize,
        reformat_into=lambda to, source, *, stream: to.copy_(source.permute(0, 3, 1, 2)),
        Interp=SimpleNamespace(LINEAR=cv2.INTER_LINEAR),
        Border=SimpleNamespace(CONSTANT=cv2.BORDER_CONSTANT),
        ColorConversion=SimpleNamespace(BGR2RGB="colors"),
        NormalizeFlags=SimpleNamespace(SCALE_IS_STDDEV="deviation"),
    )


def match(cvcuda: Any) -> float:
    given = TIMED_CROPS[0].make()
    arguments = (
        given["frame"],
        given["crop_to_frame"][0],
        given["size_px"],
        reference.crop_face(**given),
    )
    step, difference = matching_cropper(cvcuda, torch, *arguments, stream=None, device="cpu")
    assert step().shape == (1, 3, given["size_px"], given["size_px"])
    return difference


@pytest.mark.parametrize("maps_are_inverse", [False, True])
def test_cvcuda_crop_matches_for_either_transform_direction(maps_are_inverse: bool) -> None:
    assert match(fake_cvcuda(maps_are_inverse=maps_are_inverse)) <= SAME


def test_another_crop_is_not_timed() -> None:
    with pytest.raises(NotRunError, match=r"CV-CUDA's crop is another one: it differs by \d"):
        match(fake_cvcuda(normalizes=False))


def test_without_cvcuda_it_says_so() -> None:
    if importlib.util.find_spec("cvcuda") is not None:
        pytest.skip("CV-CUDA is installed here")
    with pytest.raises(NotRunError, match="CV-CUDA is not installed"):
        time_cvcuda(Session(None))  # type: ignore[arg-type]
