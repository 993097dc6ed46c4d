"""A process with an open pipeline ends in order, whatever its threads do."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time

from tests.native.cuda_standin.build import INTERPRETER

MODULE = "tests.native.cuda_standin.checks.exit"
STATUS = {"after work": 0, "in a cycle": 0, "by an exception": 3, "with a thread at work": 0}
THREAD_REPEATS = 6  # where the thread is when the process ends is chance


def run(kind: str) -> None:
    from faceaffect import open_pipeline, open_source

    pipeline = open_pipeline(backend="tensorrt", precision="fp32")
    frames = list(itertools.islice(open_source("assets/demo.mp4"), 6))

    def work(times: int) -> None:
        for _ in range(times):
            for frame in frames:
                pipeline.analyze(frame)

    if kind == "with a thread at work":
        threading.Thread(target=work, args=(1000,), daemon=True).start()
        time.sleep(0.3)
        return
    work(1)
    if kind == "in a cycle":
        holder: list[object] = [pipeline]
        holder.append(holder)
    if kind == "by an exception":
        raise SystemExit(STATUS[kind])


def main() -> None:
    from tests.native.cuda_standin import standin

    problems: list[str] = []
    for kind in (*STATUS, *["with a thread at work"] * (THREAD_REPEATS - 1)):
        command = [*INTERPRETER, "-m", MODULE, kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != STATUS[kind]:
            problems.append(f"{kind}: status {done.returncode}, {done.stderr[-160:]}")
        elif "[standin] ERROR" in done.stderr or "[standin] RACE" in done.stderr:
            problems.append(f"{kind}: {done.stderr[-160:]}")
    standin.finish(f"{len(STATUS)} ways to end", list(dict.fromkeys(problems)))


if __name__ == "__main__":
    run(sys.argv[1]) if len(sys.argv) > 1 else main()
