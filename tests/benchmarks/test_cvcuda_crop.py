"""The CV-CUDA baseline with a fake over OpenCV: only a crop equal to the definition is timed."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch

from benchmarks.gpu.cvcuda_crop import MAX_MEAN_DIFFERENCE, matching_cropper, time_cvcuda
from benchmarks.gpu.part import NotRunError, Session
from benchmarks.kernel_cases import TIMED_CROPS
from faceaffect.kernels import reference

pytestmark = pytest.mark.train


def fake_cvcuda(*, maps_are_inverse: bool = False, normalizes: bool = True) -> Any:
    """CV-CUDA on tensors in host memory; with `maps_are_inverse`, transforms map crop to frame."""

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
    case = TIMED_CROPS[0].make()
    arguments = (
        case["frame"],
        case["crop_to_frame"][0],
        case["size_px"],
        reference.crop_face(**case),
    )
    step, difference = matching_cropper(cvcuda, torch, *arguments, stream=None, device="cpu")
    assert step().shape == (1, 3, case["size_px"], case["size_px"])
    return difference


@pytest.mark.parametrize("maps_are_inverse", [False, True])
def test_matching_cropper_finds_direction_of_transform(maps_are_inverse: bool) -> None:
    assert match(fake_cvcuda(maps_are_inverse=maps_are_inverse)) <= MAX_MEAN_DIFFERENCE


def test_matching_cropper_with_other_crop_raises() -> None:
    with pytest.raises(
        NotRunError, match=r"expected the crop of the definition .* got a difference of \d"
    ):
        match(fake_cvcuda(normalizes=False))


def test_time_cvcuda_without_package_raises() -> None:
    if importlib.util.find_spec("cvcuda") is not None:
        pytest.skip("CV-CUDA is installed here")
    with pytest.raises(NotRunError, match="CV-CUDA is not installed"):
        time_cvcuda(Session(None))  # type: ignore[arg-type]
