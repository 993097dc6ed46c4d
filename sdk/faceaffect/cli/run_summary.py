"""Summary statistics of a run, in constant memory per frame."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from faceaffect.cli.print_table import open_console, print_messages, print_table
from faceaffect.detectors.names import AUTO_ROTATION
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.system.path_text import printable_message
from faceaffect.types import Affect, Faces

_BINS_PER_E: Final = 50  # durations are counted in logarithmic bins of 2 %
_BATCH_FRAMES: Final = 256
_MOST_COMMON: Final = 4


@dataclass(slots=True)
class RunSummary:
    """Counts, sums and a histogram of analysis durations over the frames of a run."""

    frames: int = 0
    frames_with_faces: int = 0
    faces: int = 0
    dropped: int = 0
    valence_sum: float = 0.0
    arousal_sum: float = 0.0
    has_aus: bool = False
    tracks: set[int] = field(default_factory=set)
    durations: Counter[int] = field(default_factory=Counter)
    aus: Counter[str] = field(default_factory=Counter)
    expressions: Counter[str] = field(default_factory=Counter)
    outputs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    without_faces: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)
    _pending: list[Affect] = field(default_factory=list)

    def add(self, faces: Faces, affect: Affect, duration_s: float) -> None:
        """Add one frame; `duration_s` is the time that `Pipeline.analyze` took."""
        self.frames += 1
        self.durations[round(math.log(max(duration_s, 1e-9)) * _BINS_PER_E)] += 1
        if not len(faces):
            return
        self.frames_with_faces += 1
        self.faces += len(faces)
        self.tracks.update(faces.track_id.tolist())
        self._pending.append(affect)
        if len(self._pending) >= _BATCH_FRAMES:
            self._count_pending()

    def _count_pending(self) -> None:
        """Count the pending frames: in batches this costs a tenth of frame by frame."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        valence = np.concatenate([affect.valence for affect in pending])
        arousal = np.concatenate([affect.arousal for affect in pending])
        self.valence_sum += float(valence.sum(dtype=np.float64))
        self.arousal_sum += float(arousal.sum(dtype=np.float64))
        probability = np.concatenate([affect.expression_probability for affect in pending])
        top = probability[np.isfinite(probability).all(axis=1)].argmax(axis=1)
        _add(self.expressions, EXPRESSION_NAMES, np.bincount(top, minlength=len(EXPRESSION_NAMES)))
        au_active = np.concatenate([affect.au_active for affect in pending])
        _add(self.aus, AU_NAMES, au_active.sum(axis=0))
        self.has_aus = self.has_aus or any(
            np.isfinite(affect.au_probability).all() for affect in pending
        )

    def median_ms(self) -> float:
        """Return the median duration of `Pipeline.analyze`, accurate to 2 %."""
        cumulative = 0
        half = sum(self.durations.values()) / 2
        for position in sorted(self.durations):
            cumulative += self.durations[position]
            if cumulative >= half:
                return 1000 * math.exp(position / _BINS_PER_E)
        return math.nan

    def lines(self) -> list[tuple[str, str]]:
        """Return (name, value) pairs for the summary; outputs the model lacks have none."""
        self._count_pending()
        elapsed_s = max(time.monotonic() - self.started_s, 1e-6)
        fps = self.frames / elapsed_s
        lines = [("frames", f"{self.frames} ({fps:.1f} per second including input and output)")]
        if self.frames:
            median_ms = self.median_ms()
            median = f"{median_ms:.1f} ms per frame ({1000 / median_ms:.0f} fps)"
            lines.append(("median analysis", median))
            lines.append(("frames with faces", f"{self.frames_with_faces}"))
        if self.dropped:
            lines.append(("dropped frames", f"{self.dropped}"))
        if not self.faces:
            return lines
        lines.append(("tracks", f"{len(self.tracks)}"))
        if math.isfinite(self.valence_sum + self.arousal_sum):
            mean = f"{self.valence_sum / self.faces:+.2f} / {self.arousal_sum / self.faces:+.2f}"
            lines.append(("mean valence / arousal", mean))
        if self.has_aus:
            lines.append(("most frequent AUs", _percentages(self.aus, self.faces) or "none"))
        if self.expressions:
            lines.append(("expressions", _percentages(self.expressions, self.faces)))
        return lines


def no_face_hint(uris: Sequence[str], min_face_size_px: float, rotate: str) -> str:
    """Return what to try for inputs in which no face was found at all."""
    others = f" and {len(uris) - 1} more" if len(uris) > 1 else ""
    turned = "" if rotate == AUTO_ROTATION else f"; frames were turned by --rotate {rotate} only"
    return (
        f"{uris[0]}{others}: no face was found; faces smaller than {min_face_size_px:g} px need a "
        f"smaller --min-face-size, sideways or upside-down ones --rotate 90, 180 or 270{turned}"
    )


def print_summary(summary: RunSummary, stream: TextIO) -> None:
    """Print the summary table, notes and errors."""
    console = open_console(stream)
    if summary.frames or not summary.failed:
        paths = ("standard output" if path == "-" else path for path in summary.outputs)
        lines = [*summary.lines(), ("output", ", ".join(paths))]
        print_table(
            console,
            [(Text(name, style="dim"), Text(printable_message(value))) for name, value in lines],
        )
    print_messages(console, "note", summary.notes, "yellow")
    for failure in summary.failed:
        console.print(Text(printable_message(f"error: {failure}"), style="red"))


def _add(counts: Counter[str], names: tuple[str, ...], values: NDArray[np.int64]) -> None:
    counts.update(
        {name: count for name, count in zip(names, values.tolist(), strict=True) if count}
    )


def _percentages(counts: Counter[str], total: int) -> str:
    return ", ".join(
        f"{name} {count / total:.0%}" for name, count in counts.most_common(_MOST_COMMON)
    )
