"""Reader of Aff-Wild2 in its official layout (ABAW1, ABAW2, ABAW3 and later, MTL).

    table = read_affwild2(folder)         # scans the folder, with a progress bar
    table = load_cached(folder)           # from a Parquet file while the folder is unchanged
    table.report.show()                   # counts, skipped items and reasons
    train = table.rows("EXPR", "train")   # rows with a label and a crop
    valid = table.rows("EXPR", "validation")

`version` is "auto" (from the headers), "abaw1" (8 AUs), "abaw2" (12 AUs, 7 expressions), "abaw3"
(and later: an 8th class "Other", masked unless asked for) or "mtl" (files with the labels of all
tasks). An explicit version is checked against the headers. The layout on disk is described in
`affwild2_layout`, the label format in `affwild2_annotations`.

A row is a frame with a label line or a crop; the two are joined by frame number. A video of the
table is an annotation name (`video63_left`); its group is the source video (`video63`), so that
two people of one video are never on both sides of a split. A video may be in the training split
of one task and in the validation split of another; `training.datasets.splits` handles that.
Videos without annotation (test videos) have rows without labels.

Kollias & Zafeiriou, "Expression, Affect, Action Unit Recognition: Aff-Wild2, Multi-Task Learning
and ArcFace", BMVC 2019, and the ABAW competitions. The reader was tested on synthetic files in
the official layout only, not on the real dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.datasets.affwild2_annotations import (
    MultiTaskLabels,
    TaskLabels,
    read_multi_task_file,
    read_task_file,
    read_test_list,
)
from training.datasets.affwild2_layout import (
    Affwild2Files,
    LabelFile,
    find_files,
)
from training.datasets.affwild2_rows import SOURCE, AnnotatedVideo, assemble_table
from training.datasets.affwild2_times import read_offsets
from training.datasets.broken_data import BrokenDatasetError, BrokenFileError
from training.datasets.frame_table import SPLITS, TASKS, FrameTable, Task
from training.datasets.label_maps import ABAW1_AU_NAMES, ABAW3_EXPRESSIONS
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport
from training.datasets.table_cache import DEFAULT_CACHE, folder_key, load_or_scan

_Content = TypeVar("_Content")
Version = Literal["auto", "abaw1", "abaw2", "abaw3", "mtl"]
VERSIONS: Final[tuple[Version, ...]] = ("auto", "abaw1", "abaw2", "abaw3", "mtl")


def read_affwild2(
    folder: Path | str,
    version: Version = "auto",
    *,
    annotations: str | None = None,
    splits: Collection[str] | None = None,
    timing: bool = True,
    skip_broken: bool = False,
    progress: bool = True,
    other: bool = False,
) -> FrameTable:
    """Scan a copy of Aff-Wild2.

    Args:
        folder: contains the annotation folder, `cropped_aligned` and `videos` (the last two are
            optional).
        version: see the module.
        annotations: name of the annotation folder, if the copy has those of several years.
        splits: read only the label files of these splits ("train", "validation", "test"). The
            table then has exactly their videos and those of the test lists, including videos
            with neither labels nor crops.
        timing: read frame times and the start of the audio from the videos (needs PyAV);
            otherwise, or without a video file, `audio_offset_s` is NaN.
        skip_broken: report broken files instead of raising.
        progress: show progress bars if standard error is a terminal.
        other: keep the expression "Other" of ABAW3 and later as class 7 instead of masking it.

    Raises:
        FileNotFoundError: there are no annotations, or none of `splits` and no test list.
        BrokenDatasetError: invalid label files, each with its line.
        ValueError: several annotation folders, or a video in two splits of one task.
    """
    report = ScanReport(SOURCE, str(folder))
    layout = find_files(Path(folder).resolve(), report, annotations, progress=progress)
    if splits is not None:
        _select_splits(layout, splits, version)
    scan = _Scan(layout, report, progress, other)
    return scan.table(version, timing, skip_broken, all_splits=splits is None)


def _select_splits(layout: Affwild2Files, splits: Collection[str], version: Version) -> None:
    """Drop the label files of other splits, and multi-task files that "auto" would ignore."""
    if unknown := sorted(set(splits) - set(SPLITS[1:])):
        raise ValueError(
            f"splits must be among {', '.join(SPLITS[1:])}, got {', '.join(map(repr, unknown))}"
        )
    if layout.labels and version != "mtl":
        layout.multi_task = []
    available = sorted({file.split for file in (*layout.labels, *layout.multi_task)})
    layout.labels = [file for file in layout.labels if file.split in splits]
    layout.multi_task = [file for file in layout.multi_task if file.split in splits]
    if not layout.labels and not layout.multi_task and not layout.test_lists:
        raise FileNotFoundError(
            f"{layout.root} has no label file of split {' or '.join(sorted(splits))} and no test "
            f"list, only labels of {', '.join(available)}"
        )


def load_cached(
    folder: Path | str,
    version: Version = "auto",
    *,
    cache: Path = DEFAULT_CACHE,
    annotations: str | None = None,
    timing: bool = True,
    skip_broken: bool = False,
    progress: bool = True,
    other: bool = False,
) -> FrameTable:
    """The table of `read_affwild2`, cached in the folder `cache` by the contents of `folder`.

    The key covers the text of all annotation files and lists, the names of all crops, and size
    and modification time of all videos.
    """
    report = ScanReport(SOURCE, str(folder))
    layout = find_files(Path(folder).resolve(), report, annotations, progress=progress)
    texts = [file.path for file in (*layout.labels, *layout.multi_task, *layout.test_lists)]
    lists = {c.folder: "\n".join(c.names.to_pylist()) for c in layout.crops.values()}
    stats = sorted(layout.videos.values())
    options = {"version": version, "timing": timing, "skip_broken": skip_broken, "other": other}
    key = folder_key(SOURCE, layout.root, texts=texts, stats=stats, lists=lists, options=options)
    scan = _Scan(layout, report, progress, other)
    return load_or_scan(cache, layout.root, key, lambda: scan.table(version, timing, skip_broken))


@dataclass(slots=True)
class _Scan:
    """Reads the label files of a copy; files that cannot be read are collected in `broken`."""

    layout: Affwild2Files
    report: ScanReport
    progress: bool
    other: bool = False
    videos: dict[str, AnnotatedVideo] = field(default_factory=dict)
    broken: list[BrokenFileError] = field(default_factory=list)

    def table(
        self, version: Version, timing: bool, skip_broken: bool, all_splits: bool = True
    ) -> FrameTable:
        if version not in VERSIONS:
            raise ValueError(f"version must be one of {', '.join(VERSIONS)}, got {version!r}")
        layout, report = self.layout, self.report
        if version == "mtl" or (version == "auto" and layout.multi_task and not layout.labels):
            self._read_multi_task_files()
        else:
            self._read_task_files(version)
        self._add_test_videos()
        if self.broken and not skip_broken:
            raise BrokenDatasetError(self.broken)
        for each in self.broken:
            report.skip("broken label file", str(each))
        for name in layout.crops if all_splits else ():
            self.videos.setdefault(name, AnnotatedVideo())
        offsets = read_offsets(layout, list(self.videos), report, self.progress) if timing else {}
        return assemble_table(layout, self.videos, offsets, report, keep_empty=not all_splits)

    def _read(self, read: Callable[..., _Content], *arguments: Any) -> _Content | None:
        try:
            return read(*arguments)
        except BrokenFileError as error:
            self.broken.append(error)
            return None

    def _chosen(self, task: Task, labels: TaskLabels) -> TaskLabels:
        return labels.with_other() if self.other and task == "EXPR" else labels

    def _read_task_files(self, version: Version) -> None:
        seen: dict[tuple[Task, str], LabelFile] = {}
        headers: dict[Task, dict[tuple[str, ...], Path]] = {task: {} for task in TASKS}
        for file in track_progress(self.layout.labels, "reading labels", progress=self.progress):
            task = file.task
            assert task is not None
            if (task, file.video) in seen:
                raise ValueError(
                    f"{file.video} is annotated twice for {task} ({seen[task, file.video].path} "
                    f"and {file.path}); a video must be in one split of a task"
                )
            seen[task, file.video] = file
            labels = self._read(read_task_file, file.path, task)
            if labels is None:
                continue
            headers[task].setdefault(labels.header, file.path)
            video = self.videos.setdefault(file.video, AnnotatedVideo())
            video.split[task] = file.split
            video.labels[task] = self._chosen(task, labels)
            video.frames[task] = np.arange(1, len(labels.values) + 1, dtype=np.int32)
            self.report.count(f"label files, {task} {file.split}")
        _check_version(version, headers, self.report)

    def _read_multi_task_files(self) -> None:
        files = self.layout.multi_task
        if not files:
            raise FileNotFoundError(
                f"no MTL_Challenge/train_set.txt or validation_set.txt in {self.layout.root}"
            )
        for file in track_progress(files, "reading labels", progress=self.progress):
            content = self._read(read_multi_task_file, file.path)
            if content is None:
                continue
            self.report.count(f"label files, all tasks {file.split}")
            if not content.has_header:
                self.report.note(
                    f"{file.path.name} has no header; its first line was read as a label"
                )
            names, codes = np.unique(np.array(content.videos), return_inverse=True)
            for k, name in enumerate(names):
                self._add_multi_task_video(file, content, str(name), np.flatnonzero(codes == k))
        self.report.note("labels are from the multi-task files (version mtl)")

    def _add_multi_task_video(
        self, file: LabelFile, content: MultiTaskLabels, name: str, lines: NDArray[np.int64]
    ) -> None:
        lines = lines[np.argsort(content.frames[lines], kind="stable")]
        twice = np.flatnonzero(np.diff(content.frames[lines]) == 0)
        if len(twice):
            again = int(lines[twice[0] + 1])
            problem = f"frame {content.frames[again]} of {name} appears a second time"
            self.broken.append(BrokenFileError(file.path, again + 1 + content.has_header, problem))
            return
        if name in self.videos:
            raise ValueError(
                f"{name} is in two splits of {file.path.parent}; a video must be in one split"
            )
        video = self.videos[name] = AnnotatedVideo()
        for task in TASKS:
            video.split[task] = file.split
            video.frames[task] = content.frames[lines]
            video.labels[task] = self._chosen(task, content.by_task[task].select(lines))

    def _add_test_videos(self) -> None:
        for file in self.layout.test_lists:
            for name in self._read(read_test_list, file.path) or ():
                video = self.videos.setdefault(name, AnnotatedVideo())
                for task in TASKS if file.task is None else (file.task,):
                    video.split.setdefault(task, "test")


def _check_version(
    version: Version, headers: dict[Task, dict[tuple[str, ...], Path]], report: ScanReport
) -> None:
    for task, by_header in headers.items():
        if len(by_header) > 1:
            files = "; ".join(
                f"{path} has {','.join(header)}" for header, path in by_header.items()
            )
            raise ValueError(f"the {task} files are of two versions: {files}")
    has_eight_aus = ABAW1_AU_NAMES in headers["AU"]
    has_other = ABAW3_EXPRESSIONS in headers["EXPR"]
    if has_eight_aus and has_other:
        raise ValueError("the AU files are of ABAW1 and the expression files of ABAW3 or later")
    detected: Version = "abaw1" if has_eight_aus else "abaw3" if has_other else "abaw2"
    # ABAW1 and ABAW2 share the expression header, ABAW2 and later versions the AU header: only a
    # contradiction is an error.
    is_au_wrong = headers["AU"] and (version == "abaw1") != has_eight_aus
    is_expression_wrong = headers["EXPR"] and (version == "abaw3") != has_other
    if version != "auto" and (is_au_wrong or is_expression_wrong):
        raise ValueError(f"expected headers of version {version}, got those of {detected}")
    if version == "auto":
        report.note(
            f"version by the headers: {detected}"
            if headers["AU"] or headers["EXPR"]
            else "valence/arousal files are the same in all versions"
        )
    if has_eight_aus:
        missing = ", ".join(name for name in AU_NAMES if name not in ABAW1_AU_NAMES)
        report.note(f"ABAW1 annotates 8 AUs: AU20 is ignored, {missing} are masked")
