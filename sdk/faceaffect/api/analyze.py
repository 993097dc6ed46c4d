"""`analyze`: a whole input in, a result out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faceaffect.api.image_workers import ImageWorkers
from faceaffect.api.inputs import (
    InputOptions,
    OpenInput,
    check_input,
    is_single,
    open_input,
    reject_live,
)
from faceaffect.api.progress import ProgressCallback, ProgressMeter, open_bar
from faceaffect.api.result import Result
from faceaffect.audio.audio_source import AUTO
from faceaffect.batch.row_facts import model_hash, run_config
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sources.frame_from_pixels import PixelFormatName
from faceaffect.sources.source import SourceOptions
from faceaffect.types import Affect, Faces, FrameInfo, PixelFormat

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from faceaffect.api.inputs import Input
    from faceaffect.api.options import PipelineOptions

FrameRow = tuple[FrameInfo, Faces, Affect]
_NAME: Final = "image_{}"


def analyze(
    source: Input,
    *,
    model: str | Path | None = None,
    pixel_format: PixelFormat | PixelFormatName | None = None,
    fps: float = 30.0,
    progress: bool | ProgressCallback | None = None,
    jobs: int | None = None,
    **options: Unpack[PipelineOptions],
) -> Result:
    """Analyze every face in images and video.

    Args:
        source: One of

            - the path or address of a video, an image, a folder or pattern of images;
            - an image: array uint8 [H, W, 3] or [H, W], PIL image, or `Frame`;
            - a list of these, which are unrelated to each other and analyzed on all cores;
            - an iterator of frames (arrays or `Frame`), which follow each other in time.
        model: A folder, the name of an installed bundle, or None for the default one.
        pixel_format: Order of the channels of arrays; BGR unless told, GRAY for arrays [H, W].
        fps: Frame rate of an iterator of arrays, which have no times, and of a folder of images.
        progress: Shows a bar in terminals and notebooks by default; False shows none, a function
            is called with a `Progress` ten times a second and at the end.
        jobs: Number of unrelated images that are analyzed at the same time; None for the number of
            cores.
        **options: Keyword arguments of `open_pipeline`.

    Returns:
        The frames and faces in order.

    Raises:
        InputError: `source` is none of these.
        SourceError: A file cannot be read, or the source is a camera, which never ends.
        BundleError: The model is missing or damaged.
        BackendError: The backend cannot run.

    Examples:
        >>> import faceaffect as fa
        >>> result = fa.analyze("clip.mp4")
        >>> result
        <Result: 60 frames, 60 faces in 1 tracks>
        >>> import cv2
        >>> fa.analyze(cv2.imread("face.jpg"))[0].faces[0].expression
        'happiness'
    """
    reject_live(source)
    if (not is_single(source) and not hasattr(source, "__iter__")) or _is_unusable(source):
        check_input(source)
    input_options = InputOptions(pixel_format, fps, SourceOptions(image_fps=fps))

    result = _analyze_any(
        source, input_options, lambda: open_pipeline(model, **options), progress, jobs
    )
    config = run_config(
        result.info["model"], result.info["precision"], options, input_options.source, AUTO
    )
    return replace(result, model_sha256=model_hash(model), options=config)


def _analyze_any(
    source: Any,
    options: InputOptions,
    open_one: Callable[[], Pipeline],
    progress: bool | ProgressCallback | None,
    jobs: int | None,
) -> Result:
    with ExitStack() as stack:
        callback: Any = progress if callable(progress) else None
        if progress is None or progress is True:
            bar = open_bar()
            if bar is not None:
                callback = stack.enter_context(closing(bar))
        meter = ProgressMeter(callback, None)
        analyze_it = _analyze_list if isinstance(source, (list, tuple)) else _analyze_one
        result = analyze_it(source, options, open_one, jobs, meter)
        meter.end()
    return result


def _is_unusable(source: object) -> bool:
    """Whether `source` can be iterated over, but not as frames."""
    return isinstance(source, (bytes, bytearray, memoryview, dict)) or hasattr(source, "detach")


def _analyze_one(
    source: Any,
    options: InputOptions,
    open_one: Callable[[], Pipeline],
    jobs: int | None,
    meter: ProgressMeter,
) -> Result:
    with open_input(source, options, _NAME.format(0)) as opened:
        meter.total = opened.count
        if opened.is_sequence or opened.count == 1:
            with open_one() as pipeline:
                rows = list(_sequence_rows(opened, pipeline, meter))
                return _result(rows, pipeline, _notes(opened))
        with ImageWorkers(open_one, jobs) as workers:
            tasks = (_frame_task(frame) for frame in opened.frames)
            rows = _collect(workers.run(tasks), meter)
            return _result(rows, workers.first, _notes(opened))


def _analyze_list(
    sources: Any,
    options: InputOptions,
    open_one: Callable[[], Pipeline],
    jobs: int | None,
    meter: ProgressMeter,
) -> Result:
    for number, source in enumerate(sources):
        reject_live(source)
        check_input(source, number)
    meter.total = len(sources)
    with ImageWorkers(open_one, jobs, len(sources)) as workers:
        notes: list[str] = []
        tasks = (
            _input_task(source, options, _NAME.format(number), notes)
            for number, source in enumerate(sources)
        )
        rows = _collect(workers.run(tasks), meter)
        return _result(rows, workers.first, notes)


def _sequence_rows(
    opened: OpenInput, pipeline: Pipeline, meter: ProgressMeter | None = None
) -> Iterator[FrameRow]:
    """Yield the results of frames in order; unrelated ones are analyzed each on their own."""
    if opened.source is not None:
        pipeline.prefetch_detections(opened.source)
    for frame in opened.frames:
        if not opened.is_sequence:
            pipeline.reset()
        faces, affect = pipeline.analyze(frame)
        if meter is not None:
            meter.add(len(faces))
        yield FrameInfo(frame.source, frame.index, frame.time_s), faces, affect


def _frame_task(frame: Any) -> Callable[[Pipeline], list[FrameRow]]:
    return lambda pipeline: list(_sequence_rows(OpenInput([frame], False, 1), pipeline))


def _input_task(
    source: Any, options: InputOptions, name: str, notes: list[str]
) -> Callable[[Pipeline], list[FrameRow]]:
    def run(pipeline: Pipeline) -> list[FrameRow]:
        with open_input(source, options, name) as opened:
            rows = list(_sequence_rows(opened, pipeline))
            notes.extend(_notes(opened))
            return rows

    return run


def _collect(results: Iterator[list[FrameRow]], meter: ProgressMeter) -> list[FrameRow]:
    """Join the results of independent inputs under track ids that are used once."""
    import numpy as np

    rows: list[FrameRow] = []
    next_id = 1
    for part in results:
        ids: dict[int, int] = {}
        for info, faces, affect in part:
            for track_id in faces.track_id.tolist():
                if track_id not in ids:
                    ids[track_id] = next_id
                    next_id += 1
            renumbered = np.array([ids[one] for one in faces.track_id.tolist()], np.int64)
            rows.append((info, replace(faces, track_id=renumbered), affect))
            meter.add(len(faces))
    return rows


def _notes(opened: OpenInput) -> list[str]:
    return [] if opened.source is None else list(opened.source.notes)


def _result(rows: list[FrameRow], pipeline: Pipeline, notes: list[str]) -> Result:
    for note in notes:
        warnings.warn(note, stacklevel=5)
    return Result.from_frames(rows, pipeline.describe(), tuple(pipeline.spec.au_thresholds), notes)
