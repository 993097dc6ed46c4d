"""Pipeline without a model: one face in two of three frames, computed from the frame number.

`python tests/sdk/cli/fake_pipeline.py analyze ...` runs the command line with it.
"""

from __future__ import annotations

import os
import sys
import time
from inspect import signature
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from faceaffect.pipeline import open_pipeline as real_open_pipeline
from faceaffect.types import Affect, Faces, Frame

FRAME_S = float(os.environ.get("FAKE_FRAME_S", "0"))


class FakePipeline:
    """Pipeline whose track ids start at 1 and are never reused, not even after `reset`."""

    spec = SimpleNamespace(name="fake", au_thresholds=(0.5,) * 12)
    uses_audio = False

    def __init__(self, **options: Any) -> None:
        self.precision = {"auto": "float32", "fp32": "float32", "fp16": "float16", "int8": "int8"}[
            options["precision"]
        ]
        self.options, self.resets, self._track_id = options, 0, 0
        self._has_track = False

    def analyze(self, frame: Frame) -> tuple[Faces, Affect]:
        time.sleep(FRAME_S)
        count = int(frame.index % 3 > 0)
        if count and not self._has_track:
            self._track_id, self._has_track = self._track_id + 1, True
        values = np.full((count, 12), 0.6, np.float32)
        values[:, 1:] = 0.1
        expression = np.full((count, 7), 0.05, np.float32)
        expression[:, 4] = 0.7
        faces = Faces(
            np.tile(np.float32([10, 10, 40, 40]), (count, 1)),
            np.full((count, 68, 2), 20, np.float32),
            np.full(count, self._track_id, np.int64),
            np.ones(count, np.float32),
            np.ones(count, np.float32),
            np.zeros((count, 3), np.float32),
        )
        valence = np.full(count, 0.25, np.float32)
        return faces, Affect(values, values > 0.5, expression, valence, -valence)

    def describe(self) -> dict[str, str]:
        return {"model": "fake", "backend": "none", "precision": self.precision, "detector": "none"}

    def reset(self, track_ids: bool = False) -> None:
        self.resets += 1
        self._has_track = False

    def prefetch_detections(self, source: object) -> None:
        pass

    def set_next_track_id(self, track_id: int) -> None:
        self._track_id = max(self._track_id, track_id - 1)

    def close(self) -> None:
        pass


def fake_module(opened: list[FakePipeline] | None = None) -> ModuleType:
    """Return a replacement for the module `faceaffect.pipeline`."""

    def open_pipeline(model: str | None = None, **options: Any) -> FakePipeline:
        pipeline = FakePipeline(model=model, **options)
        if opened is not None:
            opened.append(pipeline)
        return pipeline

    open_pipeline.__signature__ = signature(real_open_pipeline)  # type: ignore[attr-defined]
    module = ModuleType("faceaffect.pipeline")
    module.open_pipeline = open_pipeline  # type: ignore[attr-defined]
    return module


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "sdk"))
    sys.modules["faceaffect.pipeline"] = fake_module()
    from faceaffect.cli import main

    main()
