"""Times of the frames of Aff-Wild2 in the audio of their videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.datasets.affwild2_layout import Affwild2Files, video_file
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport


def read_offsets(
    layout: Affwild2Files, names: list[str], report: ScanReport, progress: bool
) -> dict[str, NDArray[np.float64]]:
    """Times of the frames in the audio by annotation name; entry k is frame k + 1.

    Each video file is read once. Videos without readable audio are reported and added to
    `layout.silent`.
    """
    by_file: dict[Path, list[str]] = {}
    for name in names:
        path = video_file(name, layout.videos)
        if path is None:
            report.skip("no video file (no audio offset)", name)
        else:
            by_file.setdefault(path, []).append(name)
    offsets: dict[str, NDArray[np.float64]] = {}
    if not by_file:
        return offsets
    from training.audio.frame_times import (
        NoAudioTrackError,
        UnreadableMediaError,
        frame_audio_offsets,
    )

    for path, names_of_file in track_progress(
        by_file.items(), "reading times", total=len(by_file), progress=progress
    ):
        where = path.relative_to(layout.root).as_posix()
        try:
            times = frame_audio_offsets(path)
        except NoAudioTrackError:
            report.skip("video without audio (no audio offset)", where)
            layout.silent.add(path)
        except UnreadableMediaError as error:
            report.skip("video that cannot be read (no audio offset)", f"{where}: {error}")
            layout.silent.add(path)
        else:
            offsets.update(dict.fromkeys(names_of_file, times))
    return offsets


def times_at(times: NDArray[np.float64], frame: NDArray[np.int32]) -> NDArray[np.float64]:
    """Times of frame numbers, extrapolated by the median step past the last known frame.

    The number of labels and of decoded frames may differ by about one.
    """
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    last = np.minimum(frame - 1, len(times) - 1)
    return np.asarray(times[last] + (frame - 1 - last) * step)
