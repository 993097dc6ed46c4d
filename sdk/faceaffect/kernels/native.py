"""Loads the native module; without it NumPy does its work, after one warning."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Final

ISA_VARIABLE: Final[str] = "FACEAFFECT_ISA"


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """Description of the kernels in use; `isa` is "numpy" without the native module."""

    native: bool
    isa: str
    compiled_isas: tuple[str, ...]
    usable_isas: tuple[str, ...]
    has_cuda: bool
    cuda_architectures: tuple[str, ...]
    problem: str = ""  # why the native module is missing

    def __str__(self) -> str:
        if not self.native:
            return f"NumPy, slow: {self.problem}"
        cuda = f"CUDA {', '.join(self.cuda_architectures)}" if self.has_cuda else "no CUDA"
        return f"native, {self.isa} of {', '.join(self.compiled_isas)}; {cuda}"


def _load() -> tuple[ModuleType | None, str]:
    isa = os.environ.get(ISA_VARIABLE, "")
    try:
        module = import_module("faceaffect.kernels._native")
    except ImportError as error:
        if isa:
            raise ValueError(
                f"{ISA_VARIABLE} must be unset without the native module, got {isa!r}: {error}"
            ) from None
        warnings.warn(
            f"faceaffect computes in NumPy, slowly: its native kernels are missing ({error}); "
            "install a C++ compiler and install faceaffect again",
            RuntimeWarning,
            stacklevel=3,
        )
        return None, str(error)
    module.use_isa(isa)
    return module, ""


native, _problem = _load()


def build_info() -> KernelInfo:
    """Describe the kernels that this process uses and those that were built."""
    if native is None:
        return KernelInfo(False, "numpy", (), (), False, (), _problem)
    architectures = tuple(
        f"sm_{number}" for number in str(native.cuda_architectures).split(",") if number
    )
    return KernelInfo(
        native=True,
        isa=str(native.chosen_isa()),
        compiled_isas=tuple(native.compiled_isas()),
        usable_isas=tuple(native.usable_isas()),
        has_cuda=bool(native.has_cuda),
        cuda_architectures=architectures,
    )
