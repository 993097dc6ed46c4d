"""Runs a benchmark: `python -m benchmarks NAME [options]`."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = {
    "detectors": "benchmarks.detectors",
    "kernels": "benchmarks.time_kernels",
    "pipeline": "benchmarks.time_pipeline",
    "faces": "benchmarks.face_cases",
    "tracking": "benchmarks.tracking",
    "latency": "benchmarks.latency_targets",
    "compare": "benchmarks.compare",
    "throughput": "benchmarks.throughput",
    "cameras": "benchmarks.cameras",
    "segments": "benchmarks.segment_parity",
    "methods": "benchmarks.methods",
    "reliability": "benchmarks.reliability",
    "live": "benchmarks.live_load",
    "gpu": "benchmarks.gpu_record",
    "packaging": "benchmarks.packaging",
}


def main() -> None:
    """Run the benchmark that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        raise SystemExit(f"expected one of {', '.join(BENCHMARKS)}, got {name!r}")
    sys.argv = [f"benchmarks {name}", *sys.argv[2:]]
    import_module(BENCHMARKS[name]).main()


if __name__ == "__main__":
    main()
