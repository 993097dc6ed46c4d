"""The evaluation as an HTML page; `report_page.html` is its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faceaffect.pages import render_page
from training.evaluation import report_plots
from training.evaluation.dataset_metrics import VA_NAMES
from training.metrics import ABAW3

if TYPE_CHECKING:
    from markupsafe import Markup

Metrics = dict[str, Any]

_TEMPLATE: Final = Path(__file__).with_name("report_page.html")
_UNKNOWN: Final = "\N{EN DASH}"

_SCORE_ROWS: Final = (
    (
        "action_units",
        "Action units",
        (
            ("score", "S_AU = 0.5 F1 + 0.5 accuracy"),
            ("f1_mean", "mean F1"),
            ("accuracy", "accuracy over all decisions"),
            ("exact_match", "all AUs of a frame correct"),
        ),
    ),
    (
        "expression",
        "Expression",
        (
            ("score", "S_EXPR = 0.67 macro-F1 + 0.33 accuracy"),
            ("macro_f1", "macro-F1"),
            ("accuracy", "accuracy"),
        ),
    ),
    ("valence_arousal", "Valence and arousal", (("score", "S_VA = mean CCC"),)),
)
_ABAW3_FORMULAS: Final = {"S_AU": "S_AU = mean F1", "S_EXPR": "S_EXPR = macro-F1"}
_AU_COLUMNS: Final = {
    "frames": "frames",
    "active_fraction": "active",
    "predicted_fraction": "predicted",
    "f1": "F1",
    "f1_at_best_threshold": "F1 at best threshold",
    "f1_if_always_active": "F1 if always active",
    "auroc": "AUROC",
    "average_precision": "AP",
    "calibration_error": "ECE",
}
_AU_CAPTION: Final = (
    "The best threshold is chosen on these frames: its F1 is an upper bound, not a result. AUROC, "
    "average precision (AP) and expected calibration error (ECE) are over predicted frames only."
)
_VIDEO_COLUMNS: Final = {
    "frames": "frames",
    "predicted": "predicted",
    "au_accuracy": "AU accuracy",
    "expression_accuracy": "expression accuracy",
    "valence_rmse": "valence RMSE",
    "arousal_rmse": "arousal RMSE",
}


@dataclass(frozen=True, slots=True)
class _Block:
    """A heading, a paragraph, a plot and a table, as far as there are any."""

    heading: str = ""
    text: str = ""
    svg: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    caption: str = ""


def report_page(metrics: Metrics) -> str:
    """Render the metrics that the evaluation writes as JSON."""
    origin = metrics["origin"]
    frames = metrics["frames"]
    labeled = frames["labeled"]
    section_blocks = {
        "action_units": _action_unit_blocks,
        "expression": _expression_blocks,
        "valence_arousal": _valence_arousal_blocks,
    }
    return render_page(
        _TEMPLATE,
        title=f"{origin['model']} on {origin['data']}",
        origin=list(origin.items()),
        notes=metrics["notes"],
        frames=frames,
        frame_rows=[
            (task, labeled[task], frames["labeled_but_not_predicted"][task]) for task in labeled
        ],
        score_rows=_score_rows(metrics),
        challenge="ABAW2" if origin.get("rules") != ABAW3 else "ABAW3",
        sections=[
            {"title": title, "blocks": section_blocks[name](metrics[name])}
            for name, title, _ in _SCORE_ROWS
            if metrics[name] is not None
        ],
        video_header=("video", *_VIDEO_COLUMNS.values()),
        video_rows=[
            (row["video"], *(_cell(row[name]) for name in _VIDEO_COLUMNS))
            for row in metrics["videos"]
        ],
    )


def _score_rows(metrics: Metrics) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for section, title, names in _SCORE_ROWS:
        scores = metrics[section]
        if scores is None:
            continue
        for name, text in names:
            if metrics["origin"].get("rules") == ABAW3:
                text = _ABAW3_FORMULAS.get(text.split(" ")[0], text)
            predicted_only = _cell(scores["predicted_only"][name])
            rows.append((f"{title}: {text}", _interval(scores[name]), predicted_only))
        if section == "valence_arousal":
            for name in VA_NAMES:
                rows.append((f"{title}: CCC of {name}", _interval(scores[name]["ccc"]), ""))
    if metrics.get("multi_task_score") is not None:
        rows.append(("Multi-task: sum of the three scores", _cell(metrics["multi_task_score"]), ""))
    return rows


def _action_unit_blocks(scores: Metrics) -> list[_Block]:
    by_au = scores["by_au"]
    rows = [
        (name, *(_interval(au[key]) if key == "f1" else _cell(au[key]) for key in _AU_COLUMNS))
        for name, au in by_au.items()
    ]
    mean_error = _cell(scores["calibration_error_mean"])
    return [
        _Block(
            svg=_svg(report_plots.f1_plot(by_au)),
            header=("AU", *_AU_COLUMNS.values()),
            rows=rows,
            caption=_AU_CAPTION,
        ),
        _Block(text=f"Mean expected calibration error {mean_error}."),
        _Block("Precision and recall", svg=_svg(report_plots.precision_recall_plot(by_au))),
        _Block("Calibration", svg=_svg(report_plots.reliability_plot(by_au))),
    ]


def _expression_blocks(scores: Metrics) -> list[_Block]:
    rows = [
        (name, row["frames"], row["predicted"], _interval(row["f1"]))
        for name, row in scores["by_class"].items()
    ]
    confusion = report_plots.confusion_plot(scores["confusion"], list(scores["by_class"]))
    return [
        _Block(header=("class", "labeled", "predicted", "F1"), rows=rows),
        _Block(svg=_svg(confusion)),
        _Block(svg=_svg(report_plots.reliability_plot({"most probable class": scores}))),
    ]


def _valence_arousal_blocks(scores: Metrics) -> list[_Block]:
    names = ("ccc", "pearson", "rmse", "sign_agreement")
    rows = [(name, *(_interval(scores[name][metric]) for metric in names)) for name in VA_NAMES]
    return [
        _Block(header=("", "CCC", "Pearson", "RMSE", "sign agreement"), rows=rows),
        _Block(svg=_svg(report_plots.density_plot(scores, VA_NAMES))),
    ]


def _cell(value: float | int | None) -> str:
    if value is None:
        return _UNKNOWN
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _interval(metric: Metrics) -> str:
    """Format a value, with its confidence interval if it has one."""
    from markupsafe import Markup

    value = _cell(metric["value"])
    if metric["low"] is None:
        return value
    interval = f"{metric['low']:.3f} … {metric['high']:.3f}"
    return Markup('{} <span class="interval">{}</span>').format(value, interval)


def _svg(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # matplotlib escapes text
