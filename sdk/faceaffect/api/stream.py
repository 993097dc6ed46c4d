"""`stream` and `astream`: frames of cameras and streams as they come."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from faceaffect.api.face_view import FrameView
from faceaffect.api.inputs import InputOptions, check_input, open_input
from faceaffect.pipeline import open_pipeline
from faceaffect.sources.frame_from_pixels import PixelFormatName
from faceaffect.types import Frame, FrameInfo, PixelFormat

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Unpack

    from faceaffect.api.options import PipelineOptions

    LiveInput = int | str | PathLike[str] | Iterable[Frame | np.ndarray[Any, Any]]


class _LiveAnalysis:
    """An open source and its pipeline; iterating over it analyzes frames on demand."""

    def __init__(
        self,
        source: LiveInput,
        model: str | Path | None,
        input_options: InputOptions,
        options: PipelineOptions,
    ) -> None:
        is_number = isinstance(source, int) and not isinstance(source, bool)
        value: Any = str(source) if is_number else source
        if not hasattr(value, "__iter__"):
            check_input(value)
        self._stack = ExitStack()
        with self._stack:
            self._opened = self._stack.enter_context(open_input(value, input_options))
            self._pipeline = self._stack.enter_context(open_pipeline(model, **options))
            self._stack = self._stack.pop_all()

    def __iter__(self) -> Iterator[FrameView]:
        if self._opened.source is not None:
            self._pipeline.prefetch_detections(self._opened.source)
        for frame in self._opened.frames:
            if not self._opened.is_sequence:
                self._pipeline.reset()
            faces, affect = self._pipeline.analyze(frame)
            info = FrameInfo(frame.source, frame.index, frame.time_s)
            yield FrameView(info, faces, affect, frame)

    def stop(self) -> None:
        """End the iteration in another thread."""
        if self._opened.source is not None:
            self._opened.source.close()

    def close(self) -> None:
        self._stack.close()


class Stream(Iterator[FrameView]):
    """Frames of a camera, stream or file, analyzed when they are asked for.

    Examples:
        >>> import faceaffect as fa
        >>> with fa.stream("clip.mp4") as frames:
        ...     print(next(frames).index, next(frames).index)
        0 1
    """

    def __init__(self, live: _LiveAnalysis) -> None:
        """Use `faceaffect.stream` instead."""
        self._frames = iter(live)
        self._close = weakref.finalize(self, live.close)

    def __next__(self) -> FrameView:
        try:
            return next(self._frames)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the camera or file; no frame follows."""
        self._frames = iter(())
        self._close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def stream(
    source: LiveInput,
    *,
    model: str | Path | None = None,
    pixel_format: PixelFormat | PixelFormatName | None = None,
    fps: float = 30.0,
    **options: Unpack[PipelineOptions],
) -> Stream:
    """Analyze frames of a camera or stream as they come; the newest frame wins.

    Frames that arrive while the caller is busy are dropped, so that results are never late. Frames
    of files and iterators are all analyzed.

    Args:
        source: A camera (`0`, `"v4l2:///dev/video0"`, `"csi://0"`), a stream
            (`"rtsp://host/path"`), a file, or an iterator of frames (arrays or `Frame`).
        model: A folder, the name of an installed bundle, or None for the default one.
        pixel_format: Order of the channels of arrays; BGR unless told.
        fps: Frame rate of an iterator of arrays, which have no times.
        **options: Keyword arguments of `open_pipeline`.

    Returns:
        An iterator of analyzed frames, with their pixels for `draw`. It closes the camera when it
        ends, is closed or is deleted.

    Raises:
        SourceError: The camera or stream cannot be opened.
        InputError: `source` is none of these.

    Examples:
        >>> import faceaffect as fa
        >>> for frame in fa.stream("clip.mp4"):  # fa.stream(0) is the first camera
        ...     if frame.faces and frame.faces[0].action_units["AU12"] > 0.5:
        ...         print("smile at second", round(frame.time_s))
        ...         break
        smile at second 1
    """
    live = _LiveAnalysis(source, model, InputOptions(pixel_format, fps), options)
    return Stream(live)


async def astream(
    source: LiveInput,
    *,
    model: str | Path | None = None,
    pixel_format: PixelFormat | PixelFormatName | None = None,
    fps: float = 30.0,
    **options: Unpack[PipelineOptions],
) -> AsyncIterator[FrameView]:
    """Analyze frames of a camera or stream in a thread, for `async for`; see `stream`.

    The event loop is free while a frame is awaited and analyzed. Frames that arrive while the
    caller is busy are dropped.

    Examples:
        >>> import asyncio
        >>> import faceaffect as fa
        >>> async def first_face() -> str:
        ...     async for frame in fa.astream("clip.mp4"):
        ...         return frame.faces[0].expression
        >>> asyncio.run(first_face())
        'neutral'
    """
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(1, thread_name_prefix="faceaffect-stream")
    input_options = InputOptions(pixel_format, fps)
    opening = executor.submit(_LiveAnalysis, source, model, input_options, options)
    live: _LiveAnalysis | None = None
    try:
        live = await asyncio.wrap_future(opening)
        frames = iter(live)
        while (view := await loop.run_in_executor(executor, next, frames, None)) is not None:
            yield view
    finally:
        if live is not None:
            live.stop()  # a pending read ends
        await loop.run_in_executor(executor, _close_opened, opening)
        executor.shutdown(wait=False)


def _close_opened(opening: Future[_LiveAnalysis]) -> None:
    """Close what was opened, also where its caller was cancelled meanwhile."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
