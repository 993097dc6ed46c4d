"""Writes metrics as a record in JSON and Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from faceaffect.labels import EXPRESSION_NAMES

Metrics = dict[str, Any]


def write_record(metrics: Metrics, folder: Path, name: str) -> None:
    """Writes `name`.json and `name`.md to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    text = f"# Default model: metrics\n\n{format_metrics(metrics)}"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")


def format_metrics(metrics: Metrics) -> str:
    """Formats all measured sections as Markdown."""
    writers = {
        "cost": _cost,
        "expression": _expression,
        "place": _web_faces,
        "rendered": _synthetic_images,
        "wild": _renderwild,
        "clips": _clips,
        "speech": _speech,
        "steadiness": _stability,
        "parity": _parity,
    }
    return (
        "\n".join(writer(metrics[name]) for name, writer in writers.items() if metrics.get(name))
        + "\n"
    )


def _cost(m: Metrics) -> str:
    return (
        "## Cost\n"
        f"{m['parameters'] / 1e6:.2f} M parameters, {m['mmacs']:.1f} M multiply-accumulates, "
        f"{m['onnx_bytes'] / 1e6:.2f} MB of ONNX; ONNX Runtime, one thread, one face: least "
        f"{m['network_ms']['least']:.2f} ms, median {m['network_ms']['median']:.2f} ms (on a "
        "shared machine).\n"
    )


def _expression(m: Metrics) -> str:
    rows = "\n".join(
        f"| {name} | {m['f1'][name]:.3f} | {' | '.join(map(str, row))} |"
        for name, row in zip(EXPRESSION_NAMES, m["confusion"], strict=True)
    )
    return (
        "## Expression: FER+ PublicTest, votes of people\n"
        "Counted are images where one of the seven classes has at least 5 of 10 votes and more "
        "than any other "
        f"answer: {m['faces']} of {m['of']}. Never trained on and not used for thresholds, but "
        "looked at for several "
        "checkpoints of the run while it was still decided how long to train: slightly "
        "optimistic, not blind.\n\n"
        f"Accuracy **{100 * m['accuracy']:.2f} %**, macro-F1 **{m['macro_f1']:.3f}**.\n\n"
        f"| true \\ predicted | F1 | {' | '.join(EXPRESSION_NAMES)} "
        f"|\n|---|{'---|' * 8}\n{rows}\n\n"
        "Valence and arousal have no truth from people here. Against the same fixed mapping from "
        "votes that they were "
        f"trained on: CCC {m['valence_ccc_to_mapping']:.3f} and "
        f"{m['arousal_ccc_to_mapping']:.3f}.\n"
    )


def _web_faces(m: Metrics) -> str:
    e, pose = m["landmark_error_percent"], m["pose_to_teacher_deg"]
    f1 = ", ".join(f"{name} {value:.2f}" for name, value in m["au_f1_to_teacher"].items())
    faces = ", ".join(
        f"{name} {100 * value:.1f} %" for name, value in m["faces_called_face"].items()
    )
    return (
        f"## Landmarks, face score: {m['faces']} held-out web faces, against the landmark teacher\n"
        "Never trained on; looked at for several checkpoints of the run, too.\n"
        f"Landmark error in % of the eye distance: aligned crops mean {e['aligned_mean']:.2f}, "
        "median "
        f"{e['aligned_median']:.2f}; crops moved as in tracking (shift to 5 %, scale to 8 %, "
        "turn to 8 degrees) mean "
        f"**{e['moved_mean']:.2f}**, 95th percentile {e['moved_p95']:.2f}; "
        f"yaw under 30 degrees {e['moved_frontal_mean']:.2f}.\n"
        f"Yaw, pitch, roll against the teacher: {', '.join(f'{v:.1f}' for v in pose)} degrees "
        "mean absolute.\n"
        f"Faces called a face: {faces}. Crops that miss the face (beside, part, far, "
        f"upside down): {100 * m['beside_below_0.2']:.1f} % below 0.2, "
        f"{100 * m['beside_called_face']:.1f} % called a face.\n"
        f"AU agreement with the teacher's blendshapes (F1; a teacher's opinion, no truth): {f1}.\n"
    )


def _synthetic_images(m: Metrics) -> str:
    f1 = ", ".join(f"{name} {value:.2f}" for name, value in m["au_f1"].items())
    calibration = ", ".join(
        f"{name} {value:.3f}" for name, value in m["au_calibration_error"].items()
    )
    return (
        f"## Action units and pose: {m['faces']} rendered faces of unseen identities, exact truth\n"
        f"AU F1: {f1}; mean **{m['au_f1_mean']:.3f}** (always on would give "
        f"{m['au_f1_mean_if_always_on']:.3f}). Renders only: says nothing of how real faces fare.\n"
        f"Expected calibration error: {calibration}; mean "
        f"{np.mean(list(m['au_calibration_error'].values())):.3f}.\n"
        f"Landmark error {m['landmark_error_percent']:.2f} % of the eye distance; yaw, pitch, "
        "roll off by "
        f"{', '.join(f'{v:.1f}' for v in m['pose_mae_deg'])} degrees on average.\n"
    )


def _renderwild(m: Metrics) -> str:
    au, expression = m["au"], m["expression"]
    named = {
        name: ", ".join(f"{k} {v:.2f}" for k, v in au[name].items() if v is not None)
        for name in ("f1", "auroc")
    }
    errors = [value for value in au["calibration_error"].values() if value is not None]
    return (
        f"## RenderWild: {m['videos']} rendered validation videos of unseen people, exact truth\n"
        "Every frame of the aligned crops, through the SDK, with the thresholds of the spec; "
        f"labeled frames: {m['frames']}.\n"
        f"AU F1: {named['f1']}; mean **{_interval(au['f1_mean'])}**. AUROC: {named['auroc']}. "
        "Expected calibration error: mean "
        f"{np.mean(errors):.3f}, worst {max(errors):.3f}.\n"
        f"Expression: accuracy {_interval(expression['accuracy'])}, macro-F1 "
        f"**{_interval(expression['macro_f1'])}**, "
        f"calibration error {expression['calibration_error']:.3f}.\n"
        f"CCC of valence **{_interval(m['ccc']['valence'])}**, of arousal "
        f"**{_interval(m['ccc']['arousal'])}**.\n"
        f"Scores of ABAW2: AU {_interval(au['score'])}, EXPR {_interval(expression['score'])}. "
        "Intervals (95 %) are drawn over "
        "videos. The videos show whole expressions with onset and offset, so many frames lie at "
        "the threshold of presence.\n" + "".join(f"- {note}\n" for note in m["notes"])
    )


def _interval(metric: Metrics) -> str:
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def _clips(m: Metrics) -> str:
    parts = [(clip, part, m[clip][part]) for clip in ("smile", "sad") for part in m[clip]]
    names = list(parts[0][2])
    lines = [
        f"| {clip}: {part} | {' | '.join(f'{values[n]:.2f}' for n in names)} |"
        for clip, part, values in parts
    ]
    return (
        "## Real clips, means without smoothing (no labels; for sense only)\n"
        f"| part | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n" + "\n".join(lines) + "\n"
        "The woman of the second clip cries, then laughs. Share of frames with AU1, AU4 or AU15 "
        "on / valence below -0.2 / "
        "both: "
        + "; ".join(
            f"{part} {_percentages(values)}" for part, values in m["sad_share_of_frames"].items()
        )
        + ".\n"
    )


def _percentages(values: dict[str, float]) -> str:
    return " / ".join(f"{100 * value:.0f} %" for value in values.values())


def _speech(m: Metrics) -> str:
    clips = "; ".join(
        f"{clip} {', '.join(f'{name} {value:.2f}' for name, value in values.items())}"
        for clip, values in m["clips"].items()
    )
    mean = ", ".join(f"{name} **{value:.2f}**" for name, value in m["mean"].items())
    return (
        f"## Speech: correlation of parted lips with the loudness of the voice\n{clips}. "
        f"Mean: {mean}.\n"
    )


def _stability(m: Metrics) -> str:
    still, pixel, neutral = m["still"], m["one_pixel"], m["neutral"]
    shares = ", ".join(f"{name} {100 * value:.1f} %" for name, value in neutral["share_on"].items())
    return (
        "## Steadiness and false alarms, real faces\n"
        f"{still['images']} held-out web faces, each repeated under fresh noise of 1 %: "
        f"{still['flips']} of "
        f"{still['decisions']} AU decisions flip, on {still['images_with_a_flip']} images (the "
        "pipeline as shipped).\n"
        f"A crop moved by one pixel changes raw scores by {pixel['au']:.3f} (AUs; the worst "
        f"{pixel['au_worst']:.3f}), "
        f"{pixel['expression']:.3f} (expressions), {pixel['valence']:.3f} and "
        f"{pixel['arousal']:.3f} (valence, arousal).\n"
        f"{neutral['faces']} PublicTest faces that 8 of 10 people call neutral: "
        f"**{neutral['aus_on_per_face']:.2f}** AUs on "
        f"per face ({shares}).\n"
    )


def _parity(m: Metrics) -> str:
    worst = max(m.values()) if m else float(np.nan)
    return (
        "## Exported files against PyTorch\nLargest absolute difference on 200 crops: "
        + ", ".join(f"{name} {value:.1e}" for name, value in m.items())
        + f"; the worst is {worst:.1e}.\n"
    )
