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
        "web_faces": _web_faces,
        "synthetic_images": _synthetic_images,
        "renderwild": _renderwild,
        "clips": _clips,
        "speech": _speech,
        "stability": _stability,
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
        f"{m['onnx_bytes'] / 1e6:.2f} MB of ONNX; ONNX Runtime, one thread, one face: minimum "
        f"{m['network_ms']['min']:.2f} ms, median {m['network_ms']['median']:.2f} ms (on a "
        "shared machine).\n"
    )


def _expression(m: Metrics) -> str:
    rows = "\n".join(
        f"| {name} | {m['f1'][name]:.3f} | {' | '.join(map(str, row))} |"
        for name, row in zip(EXPRESSION_NAMES, m["confusion"], strict=True)
    )
    return (
        "## Expression: FER+ PublicTest, human votes\n"
        "Images where one of the seven classes has at least 5 of 10 votes and more than any other "
        f"answer: {m['faces']} of {m['total_faces']}. Not used for training or thresholds, but "
        "several checkpoints were compared on it to choose the length of training: slightly "
        "optimistic, not a blind test.\n\n"
        f"Accuracy **{100 * m['accuracy']:.2f} %**, macro-F1 **{m['macro_f1']:.3f}**.\n\n"
        f"| true \\ predicted | F1 | {' | '.join(EXPRESSION_NAMES)} "
        f"|\n|---|{'---|' * 8}\n{rows}\n\n"
        "Valence and arousal have no human labels here. Against the fixed mapping from votes that "
        f"they were trained on: CCC {m['valence_ccc_to_mapping']:.3f} and "
        f"{m['arousal_ccc_to_mapping']:.3f}.\n"
    )


def _web_faces(m: Metrics) -> str:
    e, pose = m["landmark_error_percent"], m["pose_to_teacher_deg"]
    f1 = ", ".join(f"{name} {value:.2f}" for name, value in m["au_f1_to_teacher"].items())
    faces = ", ".join(f"{name} {100 * value:.1f} %" for name, value in m["face_recall"].items())
    return (
        f"## Landmarks, face score: {m['faces']} held-out web faces, against the landmark teacher\n"
        "Not used for training; several checkpoints were compared on them.\n"
        f"Landmark error in % of the eye distance: aligned crops mean {e['aligned_mean']:.2f}, "
        f"median {e['aligned_median']:.2f}; crops perturbed as in tracking (shift up to 5 %, scale "
        f"up to 8 %, rotation up to 8 degrees) mean **{e['moved_mean']:.2f}**, 95th percentile "
        f"{e['moved_p95']:.2f}; yaw under 30 degrees {e['moved_frontal_mean']:.2f}.\n"
        f"Yaw, pitch, roll against the teacher: {', '.join(f'{v:.1f}' for v in pose)} degrees "
        "mean absolute error.\n"
        f"Recall of the face score at 0.5: {faces}. Crops that miss the face (background, part of "
        f"a face, too far, upside down): {100 * m['off_face_below_0.2']:.1f} % score below 0.2, "
        f"{100 * m['off_face_above_0.5']:.1f} % above 0.5.\n"
        f"AU agreement with the teacher's blendshapes (F1; not ground truth): {f1}.\n"
    )


def _synthetic_images(m: Metrics) -> str:
    f1 = ", ".join(f"{name} {value:.2f}" for name, value in m["au_f1"].items())
    calibration = ", ".join(
        f"{name} {value:.3f}" for name, value in m["au_calibration_error"].items()
    )
    return (
        f"## Action units and pose: {m['faces']} synthetic images of unseen identities, exact "
        "ground truth\n"
        f"AU F1: {f1}; mean **{m['au_f1_mean']:.3f}** (if always active: "
        f"{m['au_f1_mean_if_always_active']:.3f}). Synthetic images do not predict the accuracy on "
        "real faces.\n"
        f"Expected calibration error: {calibration}; mean "
        f"{np.mean(list(m['au_calibration_error'].values())):.3f}.\n"
        f"Landmark error {m['landmark_error_percent']:.2f} % of the eye distance; mean absolute "
        "error of yaw, pitch, roll "
        f"{', '.join(f'{v:.1f}' for v in m['pose_mae_deg'])} degrees.\n"
    )


def _renderwild(m: Metrics) -> str:
    au, expression = m["au"], m["expression"]
    named = {
        name: ", ".join(f"{k} {v:.2f}" for k, v in au[name].items() if v is not None)
        for name in ("f1", "auroc")
    }
    errors = [value for value in au["calibration_error"].values() if value is not None]
    return (
        f"## RenderWild: {m['videos']} synthetic validation videos of unseen people, exact ground "
        "truth\n"
        "All frames of the aligned crops through the SDK, with the thresholds of the bundle; "
        f"labeled frames: {m['frames']}.\n"
        f"AU F1: {named['f1']}; mean **{_interval(au['f1_mean'])}**. AUROC: {named['auroc']}. "
        "Expected calibration error: mean "
        f"{np.mean(errors):.3f}, worst {max(errors):.3f}.\n"
        f"Expression: accuracy {_interval(expression['accuracy'])}, macro-F1 "
        f"**{_interval(expression['macro_f1'])}**, "
        f"calibration error {expression['calibration_error']:.3f}.\n"
        f"CCC of valence **{_interval(m['ccc']['valence'])}**, of arousal "
        f"**{_interval(m['ccc']['arousal'])}**.\n"
        f"ABAW2 scores: AU {_interval(au['score'])}, EXPR {_interval(expression['score'])}. "
        "Confidence intervals (95 %) are bootstrapped over videos. The videos contain the onset "
        "and offset of expressions, so many frames are near the threshold of presence.\n"
        + "".join(f"- {note}\n" for note in m["notes"])
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
        "## Real clips, means without smoothing (no labels; plausibility check)\n"
        f"| part | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n" + "\n".join(lines) + "\n"
        "The woman of the second clip cries, then laughs. Fraction of frames with AU1, AU4 or AU15 "
        "active / valence below -0.2 / both: "
        + "; ".join(
            f"{part} {_percentages(values)}" for part, values in m["sad_fraction_of_frames"].items()
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
    fractions = ", ".join(
        f"{name} {100 * value:.1f} %" for name, value in neutral["active_fraction"].items()
    )
    return (
        "## Stability and false alarms, real faces\n"
        f"{still['images']} held-out web faces, each repeated with new noise of 1 %: "
        f"{still['flips']} of {still['decisions']} AU decisions flip, on "
        f"{still['images_with_flips']} images (the pipeline as shipped).\n"
        f"A crop shifted by one pixel changes raw scores by {pixel['au']:.3f} (AUs; the worst "
        f"{pixel['au_worst']:.3f}), {pixel['expression']:.3f} (expressions), "
        f"{pixel['valence']:.3f} and {pixel['arousal']:.3f} (valence, arousal).\n"
        f"{neutral['faces']} PublicTest faces that 8 of 10 people label neutral: "
        f"**{neutral['active_aus_per_face']:.2f}** active AUs per face ({fractions}).\n"
    )


def _parity(m: Metrics) -> str:
    worst = max(m.values()) if m else float(np.nan)
    return (
        "## Exported files compared with PyTorch\nLargest absolute difference on 200 crops: "
        + ", ".join(f"{name} {value:.1e}" for name, value in m.items())
        + f"; the worst is {worst:.1e}.\n"
    )
