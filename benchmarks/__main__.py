"""`python -m benchmarks NAME [options]` runs one of `BENCHMARKS`; each knows its options."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = {
    "detectors": "benchmarks.detectors",
    "kernels": "benchmarks.time_kernels",
    "pipeline": "benchmarks.time_pipeline",
    "follow": "benchmarks.tracking",
    "limit": "benchmarks.latency_targets",
    "side-by-side": "benchmarks.compare",
    "scale": "benchmarks.throughput",
    "seams": "benchmarks.segment_parity",
    "method-clips": "benchmarks.methods",
    "gpu": "benchmarks.gpu_record",
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        raise SystemExit(f"python -m benchmarks needs one of {', '.join(BENCHMARKS)}, got {name!r}")
    sys.argv = [f"benchmarks {name}", *sys.argv[2:]]
    import_module(BENCHMARKS[name]).main()


if __name__ == "__main__":
    main()
