"""Reader of AFEW-VA: 600 film clips with valence and arousal per frame.

Layout: `<01..12>/<001..600>/<clip>.json` beside the frames `00000.png ...`; the twelve outer
folders may be missing. The JSON file holds `video_id`, `actor` and `frames`, which maps the image
name to 68 `landmarks` and integer `valence` and `arousal` in [-10, 10].

Kossaifi et al., "AFEW-VA database for valence and arousal estimation in-the-wild", Image and
Vision Computing 2017. The dataset is available on request. The reader was tested on synthetic
files only, not on the real dataset.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.labels import LANDMARK_COUNT
from training.datasets.annotation_files import images_by_number, parse_float
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import AFEW_VA_RANGE
from training.datasets.progress_bar import track_progress
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "AFEW-VA"


def read_afew_va(folder: Path | str, *, progress: bool = True) -> FrameTable:
    """Scan a copy of AFEW-VA.

    A video is a clip; its group is the actor, or the clip if no actor is named. There is no split.

    Raises:
        FileNotFoundError: there is no clip in `folder`.
        BrokenFileError: a file is not as described in the module.
    """
    root = Path(folder).resolve()
    files = sorted(
        p for p in [*root.glob("*/*.json"), *root.glob("*/*/*.json")] if not p.name.startswith(".")
    )
    if not files:
        raise FileNotFoundError(f"no <clip>/<clip>.json in {root}")
    rows = TableBuilder(SOURCE, folder)
    for path in track_progress(files, "reading clips", progress=progress):
        _read_clip(path, rows)
    return rows.build()


def _read_clip(path: Path, rows: TableBuilder) -> None:
    clip = _document(path)
    images = images_by_number(path.parent, rows.root)
    actor = str(clip.get("actor") or "").strip()
    video = rows.add_video(path.parent.name, group=f"actor {actor}" if actor else path.parent.name)
    for name, frame in sorted(clip["frames"].items()):
        where = f"frame {name}"
        if not isinstance(frame, dict) or not name.isdigit():
            raise BrokenFileError(
                path, None, f"{where}: expected an image number and an object of labels"
            )
        values = [
            parse_float(path, None, str(frame.get(k)), f"{where}: {k}", -10, 10)
            for k in ("valence", "arousal")
        ]
        image = images.get(int(name))
        if image is None:
            rows.report.skip("frame without an image", f"{path.parent.name} {where}")
        points = None
        if "landmarks" in frame:
            points = np.array(frame["landmarks"], np.float32)
            if points.shape != (LANDMARK_COUNT, 2):
                raise BrokenFileError(
                    path,
                    None,
                    f"{where}: expected {LANDMARK_COUNT} landmarks, got shape {points.shape}",
                )
        va = (values[0] / AFEW_VA_RANGE, values[1] / AFEW_VA_RANGE)
        rows.add(video, Row(int(name), image, va=va, landmarks_xy=points))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BrokenFileError(path, error.lineno, f"not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise BrokenFileError(path, None, f"not UTF-8 text ({error.reason})") from None
    if not isinstance(document, dict) or not isinstance(document.get("frames"), dict):
        raise BrokenFileError(path, None, "expected an object with `frames`")
    return document
