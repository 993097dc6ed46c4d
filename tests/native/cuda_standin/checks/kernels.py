"""Runs the kernel cases of the GPU benchmark on the kernels' PTX; names of runners as arguments."""

from __future__ import annotations

import gc
import sys

from benchmarks.gpu import bench_kernels
from benchmarks.gpu.part import Session
from tests.native.cuda_standin import standin

if sys.argv[1:]:
    for name in set(bench_kernels.RUNNERS) - set(sys.argv[1:]):
        del bench_kernels.RUNNERS[name]
session = Session(None)  # type: ignore[arg-type]
num_cases = 0
worst: dict[str, float] = {}
problems = []
for line in bench_kernels.check(session):
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if len(cells) == 5 and cells[2].isdigit():
        kernel, precision, count, difference, wrong = cells
        num_cases += int(count)
        worst[f"{kernel} {precision}"] = float(difference)
        if wrong != "none":
            problems.append(f"{kernel} {precision}: {wrong}")
if not num_cases or any(session.metrics.values()):
    problems.append(f"no case ran, or wrong ones: {session.metrics}")
exact = [name for name, value in worst.items() if name.endswith("float32") and "au_gcn" not in name]
problems += [f"{name} differs by {worst[name]}" for name in exact if worst[name] != 0.0]
gc.collect()
if standin.live():
    problems.append(f"{standin.live()} allocations left")
largest = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
standin.finish(f"{num_cases} cases, largest differences: {largest}", problems)
