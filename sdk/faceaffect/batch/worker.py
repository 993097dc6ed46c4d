"""Worker process of a batch: `python -m faceaffect.batch.worker`.

Reads settings, then inputs, as lines of JSON from standard input and sends the messages:

- `ready` (process id) once the pipeline is open,
- `frames` (count) about twice a second,
- `result` (fields of FileResult) per input,
- `stop` (reason) if no input can be analyzed; the process then exits.

It exits when its input is closed or its output is no longer read.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from functools import partial

from faceaffect.batch.file_task import BatchError, Input, TaskSettings
from faceaffect.system.worker_process import WorkerOutput, describe_error, run_worker


def _serve(output: WorkerOutput) -> None:
    """Analyze what comes in until there is no more."""
    try:
        from faceaffect.batch.file_analyzer import FileAnalyzer

        analyzer = FileAnalyzer(TaskSettings.from_json(json.loads(sys.stdin.readline())))
    except Exception as error:  # whatever it is, no other worker would fare better
        output.send("stop", describe_error(error))
        return
    output.send("ready", os.getpid())
    for line in sys.stdin:
        try:
            result = analyzer.analyze(Input(**json.loads(line)), partial(output.send, "frames"))
        except BatchError as error:
            output.send("stop", str(error))
            return
        output.send("result", asdict(result))


if __name__ == "__main__":
    run_worker(_serve)
