"""Figures as a committed record: JSON for machines, Markdown for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from faceaffect.labels import EXPRESSION_NAMES

Figures = dict[str, Any]


def write_record(figures: Figures, folder: Path, name: str) -> None:
    """`name`.json and `name`.md in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    text = f"# Default model: measured figures\n\n{figures_text(figures)}"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")


def figures_text(figures: Figures) -> str:
    """All sections that were measured, as Markdown."""
    writers = {
        "cost": _cost, "expression": _expression, "place": _place, "rendered": _rendered, "wild": _wild,
        "clips": _clips, "speech": _speech, "steadiness": _steadiness, "parity": _parity,
    }  # fmt: skip
    return (
        "\n".join(writer(figures[name]) for name, writer in writers.items() if figures.get(name))
        + "\n"
    )


def _cost(f: Figures) -> str:
    return (
        "## Cost\n"
        f"{f['parameters'] / 1e6:.2f} M parameters, {f['mmacs']:.1f} M multiply-accumulates, "
        f"{f['onnx_bytes'] / 1e6:.2f} MB of ONNX; ONNX Runtime, one thread, one face: minimum "
        f"{f['network_ms']['least']:.2f} ms, median {f['network_ms']['median']:.2f} ms (on a shared machine).\n"
    )


def _expression(f: Figures) -> str:
    rows = "\n".join(
        f"| {name} | {f['f1'][name]:.3f} | {' | '.join(map(str, row))} |"
        for name, row in zip(EXPRESSION_NAMES, f["confusion"], strict=True)
    )
    return (
        "## Expression: FER+ PublicTest, annotator votes\n"
        "Evaluated on images where one of the seven classes has at least 5 of 10 votes and more than any other "
        f"answer: {f['faces']} of {f['of']}. Not used for training or thresholds, but several checkpoints were "
        "evaluated on it to choose the training length, so the results are slightly optimistic.\n\n"
        f"Accuracy **{100 * f['accuracy']:.2f} %**, macro-F1 **{f['macro_f1']:.3f}**.\n\n"
        f"| true \\ predicted | F1 | {' | '.join(EXPRESSION_NAMES)} |\n|---|{'---|' * 8}\n{rows}\n\n"
        "There is no human ground truth for valence and arousal here. Against the fixed mapping from votes used in "
        f"training: CCC {f['valence_ccc_to_mapping']:.3f} and {f['arousal_ccc_to_mapping']:.3f}.\n"
    )


def _place(f: Figures) -> str:
    e, pose = f["landmark_error_percent"], f["pose_to_teacher_deg"]
    f1 = ", ".join(f"{name} {value:.2f}" for name, value in f["au_f1_to_teacher"].items())
    faces = ", ".join(
        f"{name} {100 * value:.1f} %" for name, value in f["faces_called_face"].items()
    )
    return (
        f"## Landmarks and face score: {f['faces']} held-out web faces, against the landmark teacher\n"
        "Not used for training; several checkpoints were evaluated on it.\n"
        f"Landmark error in % of the interocular distance: aligned crops mean {e['aligned_mean']:.2f}, median "
        f"{e['aligned_median']:.2f}; crops jittered as in tracking (shift up to 5 %, scale up to 8 %, rotation up to 8 degrees) mean "
        f"**{e['moved_mean']:.2f}**, 95th percentile {e['moved_p95']:.2f}; "
        f"yaw under 30 degrees {e['moved_frontal_mean']:.2f}.\n"
        f"Yaw, pitch, roll against the teacher: mean absolute error {', '.join(f'{v:.1f}' for v in pose)} degrees.\n"
        f"Face crops classified as a face: {faces}. Crops that miss the face (beside, partial, distant, "
        f"upside down): {100 * f['beside_below_0.2']:.1f} % score below 0.2, {100 * f['beside_called_face']:.1f} % classified as a face.\n"
        f"AU agreement with the teacher's blendshapes (F1 against teacher labels, not ground truth): {f1}.\n"
    )


def _rendered(f: Figures) -> str:
    f1 = ", ".join(f"{name} {value:.2f}" for name, value in f["au_f1"].items())
    calibration = ", ".join(
        f"{name} {value:.3f}" for name, value in f["au_calibration_error"].items()
    )
    return (
        f"## Action units and head pose: {f['faces']} synthetic images of unseen identities, exact labels\n"
        f"AU F1: {f1}; mean **{f['au_f1_mean']:.3f}** "
        f"({f['au_f1_mean_if_always_on']:.3f} if all AUs were always active). Synthetic images only: this does not "
        "predict the accuracy on real faces.\n"
        f"Expected calibration error: {calibration}; mean {np.mean(list(f['au_calibration_error'].values())):.3f}.\n"
        f"Landmark error {f['landmark_error_percent']:.2f} % of the interocular distance; yaw, pitch, roll mean absolute "
        f"error {', '.join(f'{v:.1f}' for v in f['pose_mae_deg'])} degrees.\n"
    )


def _wild(f: Figures) -> str:
    au, expression = f["au"], f["expression"]
    named = {
        name: ", ".join(f"{k} {v:.2f}" for k, v in au[name].items() if v is not None)
        for name in ("f1", "auroc")
    }
    errors = [value for value in au["calibration_error"].values() if value is not None]
    return (
        f"## RenderWild: {f['videos']} synthetic validation videos of unseen people, exact labels\n"
        "RenderWild is our synthetic counterpart of Aff-Wild2. Every frame of the aligned crops was analyzed with the SDK and "
        f"the thresholds of the spec; labeled frames: {', '.join(f'{task} {n}' for task, n in f['frames'].items())}.\n"
        f"AU F1: {named['f1']}; mean **{_interval(au['f1_mean'])}**. AUROC: {named['auroc']}. Expected calibration error: mean "
        f"{np.mean(errors):.3f}, worst {max(errors):.3f}.\n"
        f"Expression: accuracy {_interval(expression['accuracy'])}, macro-F1 **{_interval(expression['macro_f1'])}**, "
        f"calibration error {expression['calibration_error']:.3f}.\n"
        f"CCC of valence **{_interval(f['ccc']['valence'])}**, of arousal **{_interval(f['ccc']['arousal'])}**.\n"
        f"ABAW2 scores: AU {_interval(au['score'])}, EXPR {_interval(expression['score'])}. Intervals are 95 % bootstrap "
        "confidence intervals over videos. The videos show complete expressions with onset and offset, so many frames are "
        "near the threshold of presence.\n"
        + "".join(f"- {note}\n" for note in f["notes"])
    )


def _interval(figure: Figures) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _clips(f: Figures) -> str:
    parts = [(clip, part, f[clip][part]) for clip in ("smile", "sad") for part in f[clip]]
    names = list(parts[0][2])
    lines = [
        f"| {clip}: {part} | {' | '.join(f'{values[n]:.2f}' for n in names)} |"
        for clip, part, values in parts
    ]
    return (
        "## Real clips, means without smoothing (no labels; plausibility check)\n"
        f"| segment | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n" + "\n".join(lines) + "\n"
        "The woman in the second clip cries, then laughs. Fraction of frames with AU1, AU4 or AU15 active / valence below -0.2 / "
        "both: "
        + "; ".join(
            f"{part} {_shares(values)}" for part, values in f["sad_share_of_frames"].items()
        )
        + ".\n"
    )


def _shares(values: dict[str, float]) -> str:
    return " / ".join(f"{100 * value:.0f} %" for value in values.values())


def _speech(f: Figures) -> str:
    clips = "; ".join(
        f"{clip} {', '.join(f'{name} {value:.2f}' for name, value in values.items())}"
        for clip, values in f["clips"].items()
    )
    mean = ", ".join(f"{name} **{value:.2f}**" for name, value in f["mean"].items())
    return f"## Speech: correlation of parted lips with voice loudness\n{clips}. Mean: {mean}.\n"


def _steadiness(f: Figures) -> str:
    still, pixel, neutral = f["still"], f["one_pixel"], f["neutral"]
    shares = ", ".join(f"{name} {100 * value:.1f} %" for name, value in neutral["share_on"].items())
    return (
        "## Stability and false alarms, real faces\n"
        f"{still['images']} held-out web faces, each repeated with new noise of 1 %: {still['flips']} of "
        f"{still['decisions']} AU decisions flip, on {still['images_with_a_flip']} images (default pipeline).\n"
        f"Shifting a crop by one pixel changes raw scores by {pixel['au']:.3f} (AUs; largest {pixel['au_worst']:.3f}), "
        f"{pixel['expression']:.3f} (expressions), {pixel['valence']:.3f} and {pixel['arousal']:.3f} (valence, arousal).\n"
        f"{neutral['faces']} PublicTest faces with 8 of 10 votes for neutral: **{neutral['aus_on_per_face']:.2f}** active AUs "
        f"per face ({shares}).\n"
    )


def _parity(f: Figures) -> str:
    worst = max(f.values()) if f else float(np.nan)
    return (
        "## Parity of exported files with PyTorch\nLargest absolute difference on 200 crops: "
        + ", ".join(f"{name} {value:.1e}" for name, value in f.items())
        + f"; maximum {worst:.1e}.\n"
    )
