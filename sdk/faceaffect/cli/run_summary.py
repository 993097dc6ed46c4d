"""What a run has seen, in a few numbers that take no more memory the longer it runs."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from faceaffect.cli.print_table import print_columns
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect, Faces

_BINS_PER_E = 50  # durations are counted in bins of 2 %
_MOST_NOTES = 20
_COUNTED_AT_ONCE = 256  # frames


@dataclass(slots=True)
class RunSummary:
    frames: int = 0
    frames_with_faces: int = 0
    faces: int = 0
    dropped: int = 0
    valence_sum: float = 0.0
    arousal_sum: float = 0.0
    reads_aus: bool = False
    tracks: set[int] = field(default_factory=set)
    durations: Counter[int] = field(default_factory=Counter)
    aus: Counter[str] = field(default_factory=Counter)
    expressions: Counter[str] = field(default_factory=Counter)
    outputs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)
    _uncounted: list[Affect] = field(default_factory=list)

    def add(self, faces: Faces, affect: Affect, duration_s: float) -> None:
        self.frames += 1
        self.durations[round(math.log(max(duration_s, 1e-9)) * _BINS_PER_E)] += 1
        if not len(faces):
            return
        self.frames_with_faces += 1
        self.faces += len(faces)
        self.tracks.update(faces.track_id.tolist())
        self._uncounted.append(affect)
        if len(self._uncounted) >= _COUNTED_AT_ONCE:
            self._count()

    def _count(self) -> None:
        """Count what waits: of many frames at once it costs a tenth."""
        waiting, self._uncounted = self._uncounted, []
        if not waiting:
            return
        self.valence_sum += float(
            np.concatenate([affect.valence for affect in waiting]).sum(dtype=np.float64)
        )
        self.arousal_sum += float(
            np.concatenate([affect.arousal for affect in waiting]).sum(dtype=np.float64)
        )
        probability = np.concatenate([affect.expression_probability for affect in waiting])
        best = probability[np.isfinite(probability).all(axis=1)].argmax(axis=1)
        _add(self.expressions, EXPRESSION_NAMES, np.bincount(best, minlength=len(EXPRESSION_NAMES)))
        _add(
            self.aus, AU_NAMES, np.concatenate([affect.au_active for affect in waiting]).sum(axis=0)
        )
        self.reads_aus = self.reads_aus or any(
            np.isfinite(affect.au_probability).all() for affect in waiting
        )

    def median_ms(self) -> float:
        """Of `Pipeline.analyze` alone, to 2 %."""
        seen, half = 0, sum(self.durations.values()) / 2
        for position in sorted(self.durations):
            seen += self.durations[position]
            if seen >= half:
                return 1000 * math.exp(position / _BINS_PER_E)
        return math.nan

    def lines(self) -> list[tuple[str, str]]:
        """Names and figures, as the end of a run prints them."""
        self._count()
        elapsed_s = max(time.monotonic() - self.started_s, 1e-6)
        lines = [
            (
                "frames",
                f"{self.frames} ({self.frames / elapsed_s:.1f} per second, reading and writing included)",
            )
        ]
        if self.frames:
            lines.append(
                (
                    "median analysis",
                    f"{self.median_ms():.1f} ms per frame ({1000 / self.median_ms():.0f} fps)",
                )
            )
            lines.append(("frames with faces", f"{self.frames_with_faces}"))
        if self.dropped:
            lines.append(("dropped frames", f"{self.dropped}"))
        if self.faces:
            lines.append(("tracks", f"{len(self.tracks)}"))
            mood = f"{self.valence_sum / self.faces:+.2f} / {self.arousal_sum / self.faces:+.2f}"
            # What the model does not read has no line.
            if math.isfinite(self.valence_sum + self.arousal_sum):
                lines.append(("mean valence / arousal", mood))
            if self.reads_aus:
                lines.append(("most frequent AUs", _shares(self.aus, self.faces) or "none"))
            if self.expressions:
                lines.append(("expressions", _shares(self.expressions, self.faces)))
        return lines


def print_summary(summary: RunSummary, stream: TextIO) -> None:
    console = Console(file=stream, soft_wrap=True)
    if summary.frames or not summary.failed:
        outputs = (
            "output",
            ", ".join("standard output" if path == "-" else path for path in summary.outputs),
        )
        print_columns(
            console,
            [(Text(name, style="dim"), Text(value)) for name, value in [*summary.lines(), outputs]],
        )
    for note in summary.notes[:_MOST_NOTES]:
        console.print(Text(f"note: {note}", style="yellow"))
    if len(summary.notes) > _MOST_NOTES:
        console.print(
            Text(f"note: and {len(summary.notes) - _MOST_NOTES} more like these", style="yellow")
        )
    for failure in summary.failed:
        console.print(Text(f"error: {failure}", style="red"))


def _add(counts: Counter[str], names: tuple[str, ...], more: NDArray[np.int64]) -> None:
    counts.update({name: count for name, count in zip(names, more.tolist(), strict=True) if count})


def _shares(counts: Counter[str], total: int) -> str:
    return ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common(4))
