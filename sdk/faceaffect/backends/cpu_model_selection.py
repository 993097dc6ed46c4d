"""Which precision a CPU runs: int8 where the processor has dot products for it and the bundle a
network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from faceaffect.backends import BackendError, BackendOptions
from faceaffect.bundle.bundle import Bundle, model_bytes
from faceaffect.bundle.model_spec import AUTO_PRECISION, INT8_CPU

_DOT_PRODUCTS: Final = {"avx512_vnni", "avx_vnni", "asimddp"}
"""Names of Linux for instructions that sum products of bytes in 32 bits; without them x86 runtimes
saturate at 16.
"""

CPU_INFO: Final = Path("/proc/cpuinfo")


def has_int8_dot_products(info: Path = CPU_INFO) -> bool:
    """Whether this processor is one on which int8 is both fast and exact; False where the system
    does not say.
    """
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    listed = next(
        (
            line.partition(":")[2]
            for line in lines
            if line.lower().startswith(("flags", "features"))
        ),
        "",
    )
    return not _DOT_PRODUCTS.isdisjoint(listed.split())


def select_cpu_model(bundle: Bundle, options: BackendOptions) -> tuple[bytes, str]:
    """The ONNX network to run on the CPU, and what it computes in.

    `auto` is int8 where that is fast and the bundle brings it, else float32. Raises BackendError
    for a precision that no CPU backend runs, or this processor does not run well, and
    BundleError for one that the bundle lacks.
    """
    precision = options.precision
    if precision == AUTO_PRECISION:
        precision = "int8" if bundle.has(INT8_CPU) and has_int8_dot_products() else "fp32"
    if precision == "fp32":
        return bundle.onnx, "float32"
    if precision != "int8":
        raise BackendError(
            f"CPU backends run in fp32 or int8, got {precision!r}; use --backend tensorrt"
        )
    if not has_int8_dot_products():
        raise BackendError(
            "int8 needs a processor with dot products of bytes (VNNI, or dotprod on Arm); use --precision fp32"
        )
    return model_bytes(bundle, INT8_CPU), "int8"
