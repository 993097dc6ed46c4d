"""A worker process: `python -m faceaffect.batch.worker`. Settings, then tasks, come as lines of
JSON on standard input; events go back as lines of JSON. It ends with its standard input, or when
nobody listens any more.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from faceaffect.batch.file_task import BatchError, Input, TaskSettings


def main() -> None:
    """Answer every line: `ready` or `stop` to the settings; `frames` now and then, `outcome` or
    `stop` to a task.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(
        sys.stderr.fileno(), sys.stdout.fileno()
    )  # what a library prints must not come between the lines

    def say(kind: str, value: Any) -> None:
        answers.write(json.dumps({kind: value}) + "\n")
        answers.flush()

    try:
        try:
            from faceaffect.batch.file_analyzer import FileAnalyzer

            analyzer = FileAnalyzer(TaskSettings.from_json(json.loads(sys.stdin.readline())))
        except Exception as error:  # whatever it is, no other worker would fare better
            say("stop", describe(error))
            return
        say("ready", os.getpid())
        for line in sys.stdin:
            try:
                say(
                    "outcome",
                    asdict(
                        analyzer.analyze(
                            Input(**json.loads(line)), lambda frames: say("frames", frames)
                        )
                    ),
                )
            except BatchError as error:
                say("stop", str(error))
                return
    except BrokenPipeError:
        os._exit(1)  # without a try to write what is left


def describe(error: Exception) -> str:
    """Our own errors explain themselves; a foreign one needs its type."""
    return (
        str(error)
        if type(error).__module__.startswith("faceaffect.")
        else f"{type(error).__name__}: {error}"
    )


if __name__ == "__main__":
    main()
