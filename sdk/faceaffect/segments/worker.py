"""Worker process that analyzes segments of one video: `python -m faceaffect.segments.worker`.

Reads settings, then segments, as lines of JSON from standard input and sends the messages:

- `frames` (number of bytes of `frame_result.pack` that follow),
- `end` (notes for the user) after each segment,
- `source` or `backend` (error) if a segment cannot be analyzed,
- `stop` (error) if the pipeline cannot be opened; the process then exits.

It exits when its input is closed or its output is no longer read.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Final

from faceaffect.backends import BackendError
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.segments.frame_result import FrameResult, pack
from faceaffect.segments.task import SEEK_MARGIN, SegmentSettings, SegmentTask
from faceaffect.sources.open_source import open_source
from faceaffect.sources.source import SourceError
from faceaffect.system.import_opencv import import_opencv
from faceaffect.system.worker_process import WorkerOutput, describe_error, run_worker

_BATCH_FRAMES: Final = 64  # frames per message


def _serve(output: WorkerOutput) -> None:
    """Analyze what comes in until there is no more."""
    try:
        settings = SegmentSettings.from_json(json.loads(sys.stdin.readline()))
        # By default OpenCV uses every core for the detector, but other workers share the machine.
        import_opencv().setNumThreads(settings.pipeline.get("threads", 1))
        pipeline = open_pipeline(settings.model, **settings.pipeline)
    except Exception as error:  # whatever it is, no other process would fare better
        output.send("stop", describe_error(error))
        return
    for line in sys.stdin:
        try:
            task = SegmentTask(**json.loads(line))
            output.send("end", analyze_segment(settings, task, pipeline, output))
        except SourceError as error:
            output.send("source", str(error))
        except BackendError as error:
            output.send("backend", str(error))
        except BrokenPipeError:
            raise
        except Exception as error:  # of this video
            output.send("source", f"{settings.uri}: {type(error).__name__}: {error}")


def analyze_segment(
    settings: SegmentSettings, task: SegmentTask, pipeline: Pipeline, output: WorkerOutput
) -> list[str]:
    """Analyze the frames of a segment and send their results.

    Frames before an error are sent before it is raised.

    Returns:
        Notes of the source for the user.
    """
    pipeline.reset(track_ids=True)
    start_frame = 0 if task.seek_s else task.start
    options = replace(settings.source_options, start_frame=start_frame, seek_s=task.seek_s)
    last = None if task.end is None else task.end - 1 + (SEEK_MARGIN if task.seek_s else 0)
    pending: list[FrameResult] = []
    with open_source(settings.uri, options) as source:
        try:
            for frame in source:
                start_s = time.perf_counter()
                faces, affect = pipeline.analyze(frame)
                seconds = time.perf_counter() - start_s
                pending.append(FrameResult(frame.index, frame.time_s, seconds, faces, affect))
                if last is not None and frame.index >= last:
                    break
                if len(pending) == _BATCH_FRAMES:
                    _send_frames(pending, output)
        finally:
            _send_frames(pending, output)
        return source.notes


def _send_frames(frames: list[FrameResult], output: WorkerOutput) -> None:
    """Send and clear the frames."""
    if frames:
        content = pack(frames)
        frames.clear()
        output.send("frames", len(content), content)


if __name__ == "__main__":
    run_worker(_serve)
