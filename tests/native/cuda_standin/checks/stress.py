"""The frame runner with many batch sizes and frames, producers, threads and planted failures.

Arguments choose cases.
"""

from __future__ import annotations

import gc
import sys
import time

from tests.native.cuda_standin import standin
from tests.native.cuda_standin.checks import stress_failures, stress_frames

CASES = stress_frames.CASES | stress_failures.CASES
wanted = sys.argv[1:] or list(CASES)
wrong = []
stress_frames.shared_backend()
for name in wanted:
    begin, before = time.monotonic(), standin.live()
    try:
        problems = CASES[name]()
    except Exception as error:
        problems = [f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"]
    standin.reset()
    gc.collect()
    leaked = standin.live() - before
    if leaked > 0 and not name.startswith("lost"):  # a lost GPU frees nothing
        problems.append(f"{leaked} allocations leaked")
    seconds = time.monotonic() - begin
    print(f"{name}: {'; '.join(problems) or 'right'} [{seconds:.1f} s]", file=sys.stderr)
    if problems:
        wrong.append(f"{name} ({'; '.join(dict.fromkeys(problems))})")
standin.finish(f"{len(wanted)} cases", wrong)
