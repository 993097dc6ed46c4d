"""Selects the model that a CPU backend runs: int8 or float32."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from faceaffect.backends.backend import BackendError, BackendOptions
from faceaffect.bundle.bundle import Bundle, model_bytes
from faceaffect.bundle.model_spec import AUTO_PRECISION, INT8_CPU

_INT8_DOT_PRODUCT_FLAGS: Final = {"avx512_vnni", "avx_vnni", "asimddp"}
"""Linux names of instructions that accumulate int8 products in 32 bits.

Without them x86 runtimes saturate at 16 bits.
"""

CPU_INFO: Final = Path("/proc/cpuinfo")


def has_int8_dot_products(info: Path = CPU_INFO) -> bool:
    """Whether int8 is both fast and exact on this processor; False if the system does not say."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flag_lines = (line for line in lines if line.lower().startswith(("flags", "features")))
    flags = next(flag_lines, "").partition(":")[2]
    return not _INT8_DOT_PRODUCT_FLAGS.isdisjoint(flags.split())


def select_cpu_model(bundle: Bundle, options: BackendOptions) -> tuple[bytes, str]:
    """Select the model for the CPU.

    `auto` is int8 if the processor is fast at it and the bundle has such a model, else float32.

    Returns:
        The ONNX file and the name of its precision.

    Raises:
        BackendError: CPU backends, or this processor, do not support the precision.
        BundleError: The bundle has no model of the precision.
    """
    precision = options.precision
    if precision == AUTO_PRECISION:
        precision = "int8" if bundle.has(INT8_CPU) and has_int8_dot_products() else "fp32"
    if precision == "fp32":
        return model_bytes(bundle, "fp32"), "float32"
    if precision != "int8":
        raise BackendError(
            f"CPU backends: expected precision fp32 or int8, got {precision!r}; "
            "use --backend tensorrt"
        )
    if not has_int8_dot_products():
        raise BackendError(
            "int8 needs a processor with int8 dot products (VNNI, or dotprod on Arm); "
            "use --precision fp32"
        )
    return model_bytes(bundle, INT8_CPU), "int8"
