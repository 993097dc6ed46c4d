"""A process that analyzes stretches of one video: `python -m faceaffect.segments.worker`.

Settings, then stretches, come as lines of JSON on standard input. It answers with lines
`frames`, which tell how many bytes of `analyzed.pack` follow, and to each stretch with one
`end`, which holds what the user should know; or with `source`, `backend` or `stop` and why it
cannot. It ends with its standard input, or when nobody listens any more.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from typing import IO, Any, Final

from faceaffect.backends import BackendError
from faceaffect.batch.worker import describe
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.segments.frame_result import FrameResult, pack
from faceaffect.segments.task import PAST_THE_END, StretchSettings, StretchTask
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.open_source import open_source
from faceaffect.sources.source import SourceError

_AT_ONCE: Final = 64  # frames of one message


class _Answers:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def say(self, kind: str, value: Any, content: bytes = b"") -> None:
        self._stream.write(json.dumps({kind: value}).encode() + b"\n" + content)
        self._stream.flush()


def main() -> None:
    """Answer every line until there are no more."""
    answers = _Answers(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(
        sys.stderr.fileno(), sys.stdout.fileno()
    )  # what a library prints must not come between the answers
    try:
        try:
            settings = StretchSettings.from_json(json.loads(sys.stdin.readline()))
            # OpenCV takes every core for the detector, which is for a process that has the machine
            # to itself.
            import_opencv().setNumThreads(settings.pipeline.get("threads", 1))
            pipeline = open_pipeline(settings.model, **settings.pipeline)
        except Exception as error:  # whatever it is, no other process would fare better
            answers.say("stop", describe(error))
            return
        for line in sys.stdin:
            try:
                answers.say(
                    "end", _analyze(settings, StretchTask(**json.loads(line)), pipeline, answers)
                )
            except (SourceError, BackendError) as error:
                answers.say("source" if isinstance(error, SourceError) else "backend", str(error))
            except BrokenPipeError:
                raise
            except Exception as error:  # this video's: another may fare better
                answers.say("source", f"{settings.uri}: {type(error).__name__}: {error}")
    except BrokenPipeError:
        os._exit(1)  # without a try to write what is left


def _analyze(
    settings: StretchSettings, task: StretchTask, pipeline: Pipeline, answers: _Answers
) -> list[str]:
    """Say what every frame shows; gives the notes of the source."""
    pipeline.reset(track_ids=True)
    options = replace(
        settings.source_options, start_frame=0 if task.seek_s else task.start, seek_s=task.seek_s
    )
    last = None if task.end is None else task.end - 1 + (PAST_THE_END if task.seek_s else 0)
    waiting: list[FrameResult] = []
    with open_source(settings.uri, options) as source:
        try:
            for frame in source:
                began_s = time.perf_counter()
                faces, affect = pipeline.analyze(frame)
                waiting.append(
                    FrameResult(
                        frame.index, frame.time_s, time.perf_counter() - began_s, faces, affect
                    )
                )
                if last is not None and frame.index >= last:
                    break
                if len(waiting) == _AT_ONCE:
                    _say_frames(waiting, answers)
        finally:
            _say_frames(waiting, answers)  # before an error, too: it costs nothing that was found
        return source.notes


def _say_frames(frames: list[FrameResult], answers: _Answers) -> None:
    """Say them and forget them."""
    if frames:
        content = pack(frames)
        frames.clear()
        answers.say("frames", len(content), content)


if __name__ == "__main__":
    main()
