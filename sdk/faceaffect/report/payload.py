"""Timelines as compact text for the script of the page."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.report.moments import moments
from faceaffect.report.read_rows import AU_COLUMNS, COLUMN_INDEX, EXPRESSION_COLUMNS
from faceaffect.report.timeline import Timeline

VALUE_STEPS: Final = 10_000  # valence and arousal as int16
ANGLE_STEPS: Final = 100
BYTE_STEPS: Final = 250  # probabilities and quality as uint8
UNKNOWN_INT16: Final = -32_768
UNKNOWN_BYTE: Final = 255


def pack_timeline(timeline: Timeline) -> dict[str, Any]:
    """Return a timeline without its empty bins, arrays as base64 of little-endian numbers."""
    rows = np.flatnonzero(timeline.count > 0)
    mean, low, high = (one[rows] for one in (timeline.mean, timeline.minimum, timeline.maximum))
    packed: dict[str, Any] = {
        "time": _base64(timeline.time_s[rows].astype("<f4")),
        "bin_s": timeline.bin_s,
        "gap_s": timeline.gap_s,
        "au": _bytes(mean[:, AU_COLUMNS]),
        "au_on": _bytes(timeline.au_active[rows]),
        "quality": _bytes(mean[:, COLUMN_INDEX["quality"]]),
        "expression": _base64(_top_expression(mean[:, EXPRESSION_COLUMNS])),
        "moments": [[round(m.start_s, 3), round(m.end_s, 3), m.label] for m in moments(timeline)],
    }
    for name in ("valence", "arousal"):
        k = COLUMN_INDEX[name]
        for suffix, values in (("", mean), ("_low", low), ("_high", high)):
            packed[name + suffix] = _int16(values[:, k], VALUE_STEPS)
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        packed[name] = _int16(mean[:, COLUMN_INDEX[name]], ANGLE_STEPS)
    return packed


def script_json(value: object) -> str:
    """Return JSON that can stand inside of a `<script>` element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _top_expression(probability: NDArray[np.float64]) -> NDArray[np.uint8]:
    is_known = np.isfinite(probability).all(axis=1)
    top = np.nan_to_num(probability).argmax(axis=1)
    return np.where(is_known, top, UNKNOWN_BYTE).astype(np.uint8)


def _int16(values: NDArray[np.float64], steps: int) -> str:
    limit = -UNKNOWN_INT16 - 1
    scaled = np.clip(np.rint(np.nan_to_num(values) * steps), -limit, limit)
    return _base64(np.where(np.isfinite(values), scaled, UNKNOWN_INT16).astype("<i2"))


def _bytes(values: NDArray[np.float64]) -> str:
    scaled = np.rint(np.clip(np.nan_to_num(values), 0, 1) * BYTE_STEPS)
    return _base64(np.where(np.isfinite(values), scaled, UNKNOWN_BYTE).astype(np.uint8))


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
