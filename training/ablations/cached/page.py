"""Text of the ablations on cached features, from their records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.ablations.cached.campaign import IDEAS
from training.ablations.comparison import table_head, table_line

_HEAD: Final = """## Ideas on cached features
Written by `python -m training.ablations cached`, which resumes a stopped call. The trunk is
frozen; its features, and feature maps for attention, clip and pyramid, are cached; heads, graphs,
temporal parts and fusion train on them until the score on tuning people has not risen for several
checks (self-cure: for a fixed time, since
choosing a step would undo what it is against). Each split draws other people to train on (60
%), to choose steps and AU thresholds on (15 %) and to judge (25 %); the arms of a split share
people, labels and seed.

Gain: score of the full method minus that of the arm named, mean over splits. The score is the
mean over tasks of the mean F1 of AUs at thresholds chosen on tuning people, the macro-F1 of
expressions and the mean CCC; "at 0.5" has AUs at 0.5. AUROC and AP (average precision) replace
both F1 by scores that need no threshold. The standard error is the larger of that over splits
and that of a bootstrap over people, whose 95 % interval is given. An idea **helps** or
**costs** only outside two standard errors, else its effect is **not seen**.

An effect that only a trunk that has learned from renders shows may be that trunk's own. The nodes
of M4 there were trained through the graph of expression prototypes; the controls with these
edges, with all, or with none tell what is the graph's and what the nodes'. On the small trunk that
has seen no render all scores are low, and so is what an idea can add; MediaPipe's features have
seen none either and know more of the action units. Attention, clip and pyramid have fewer and
narrower convolutions here than in the papers, over a trunk that does not learn: what they do for
a trunk that learns with them is not tried. Of so many comparisons about one in twenty lies outside
two standard errors by chance.
"""


_LEARNED_FROM: Final = {"mediapipe": "68 landmarks and 52 blendshapes of MediaPipe, photographs"}
_PRETRAINED: Final = "FER+ and web photographs"


def cached_text(folder: Path) -> str:
    """Sections of all recorded ideas; empty without records."""
    records = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    ]
    if not records:
        return ""
    order = {idea.name: k for k, idea in enumerate(IDEAS)}
    records.sort(key=lambda record: (record["method"], order.get(record["idea"], 99)))
    parts = [_HEAD, _data(records), _summary(records)]
    for name in dict.fromkeys(record["idea"] for record in records):
        parts.append(_idea([record for record in records if record["idea"] == name]))
    return "\n".join([*parts, ""])


def _data(records: list[dict[str, Any]]) -> str:
    sizes = {(r["people"], r["videos"], r["frames"], r["splits"]) for r in records}
    text = "; ".join(
        f"{people} people, {videos} videos, {frames} frames at three a second, {splits} splits"
        for people, videos, frames, splits in sorted(sizes)
    )
    trunks = {r["trunk"]["sha256"]: r for r in records}
    lines = [
        f"- `{sha[:12]}` ({r['trunk']['name']}): "
        + (
            "has learned from the same renderer, so its features may hold what a method adds"
            if r["has_seen_renders"]
            else f"has seen no render ({_LEARNED_FROM.get(r['trunk']['name'], _PRETRAINED)})"
        )
        for sha, r in sorted(trunks.items(), key=lambda item: not item[1]["has_seen_renders"])
    ]
    return (
        f"Data: RenderWild `people`, validation part: {text}. Trunks:\n\n" + "\n".join(lines) + "\n"
    )


def _summary(records: list[dict[str, Any]]) -> str:
    head = ["idea", "against", "renders seen, trunk", "gain", "verdict", "the paper"]
    lines = table_head(head)
    for record in records:
        for name, gain in record["gains"].items():
            score = gain["score"]
            lines.append(
                table_line(
                    [
                        f"{record['method']} {record['idea'].replace('_', ' ')}",
                        name,
                        ("yes" if record["has_seen_renders"] else "no")
                        + f", {record['trunk']['name']} `{record['trunk']['sha256'][:6]}`",
                        f"{score['mean']:+.3f} ± {score['standard_error']:.3f}",
                        f"**{gain['verdict']}**",
                        record["claims"],
                    ]
                )
            )
    return "\n".join(lines) + "\n"


def _idea(records: list[dict[str, Any]]) -> str:
    first = records[0]
    lines = [
        f"### {first['method']}: {first['idea'].replace('_', ' ')}",
        f"{first['setting']} Tasks: {', '.join(first['tasks'])}."
        + (" Images are dark, noisy and small." if first["corruption"] == "noise" else ""),
        "",
        *table_head(
            ["trunk", "arm", "score", "gain", "interval", "won", "at 0.5", "AUROC", "AP", "steps"]
        ),
    ]
    for record in records:
        for k, (name, arm) in enumerate(record["arms"].items()):
            gain = record["gains"].get(name)
            cells = [""] * 6
            if gain is not None:
                low, high = gain["interval"]
                cells = [
                    f"{gain['score']['mean']:+.3f} ± {gain['score']['standard_error']:.3f}",
                    f"{low:+.3f} … {high:+.3f}",
                    f"{gain['score']['splits_won']}/{record['splits']}",
                    *(
                        f"{gain[key]['mean']:+.3f} ± {gain[key]['standard_error']:.3f}"
                        for key in ("at_half", "threshold_free", "average_precision")
                    ),
                ]
            trunk = f"`{record['trunk']['sha256'][:12]}`" if k == 0 else ""
            steps = f"{np.median(arm['steps']):.0f}"
            lines.append(table_line([trunk, name, f"{np.mean(arm['score']):.3f}", *cells, steps]))
    return "\n".join(lines) + "\n"
